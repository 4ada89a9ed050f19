import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { cacheFolder, installOnce } from '../../src/demo/cache.ts'

describe('cache folder', () => {
  test.each([
    [{ NEBULAIO_CACHE_DIR: '/a', XDG_CACHE_HOME: '/b' }, '/a'],
    [{ NEBULAIO_CACHE_DIR: '', XDG_CACHE_HOME: '/b' }, '/b/nebulaio-proxy'],
    [{ XDG_CACHE_HOME: '/b' }, '/b/nebulaio-proxy'],
  ])('%j gives %s', (env, expected) => {
    expect(cacheFolder(env)).toBe(expected)
  })
})

describe('installation', () => {
  let cache = ''
  beforeEach(async () => {
    cache = await mkdtemp(join(tmpdir(), 'nebulaio-cache-'))
    vi.stubEnv('NEBULAIO_CACHE_DIR', join(cache, 'not', 'there', 'yet'))
  })
  afterEach(async () => {
    vi.unstubAllEnvs()
    await rm(cache, { recursive: true })
  })
  const inCache = () => readdir(join(cache, 'not', 'there', 'yet'))
  const writes = (content: string) => (folder: string) =>
    writeFile(join(folder, 'program'), content)

  test('happens once', async () => {
    const first = await installOnce('program-1', writes('first'))
    const second = await installOnce('program-1', writes('second'))
    expect(second).toBe(first)
    expect(await readFile(join(second, 'program'), 'utf8')).toBe('first')
  })

  test('happens again for another version', async () => {
    await installOnce('program-1', writes('1'))
    await installOnce('program-2', writes('2'))
    expect((await inCache()).sort()).toEqual(['program-1', 'program-2'])
  })

  test('leaves nothing when it fails, and can be tried again', async () => {
    const failing = installOnce('program-1', async (folder) => {
      await writes('half')(folder)
      throw new Error('no network')
    })
    await expect(failing).rejects.toThrow('no network')
    expect(await inCache()).toEqual([])
    const folder = await installOnce('program-1', writes('whole'))
    expect(await readFile(join(folder, 'program'), 'utf8')).toBe('whole')
  })

  test('by two at once leaves one whole folder for both', async () => {
    const start = Promise.withResolvers<void>()
    const install = async (folder: string) => {
      await start.promise
      await writes('whole')(folder)
    }
    const both = [installOnce('program-1', install), installOnce('program-1', install)]
    start.resolve()
    const [one, other] = await Promise.all(both)
    expect(one).toBe(other)
    expect(await inCache()).toEqual(['program-1'])
    expect(await readFile(join(one ?? '', 'program'), 'utf8')).toBe('whole')
  })
})
