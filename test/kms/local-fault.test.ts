import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type * as DurableFile from '../../src/kms/durable-file.ts'
import { LocalKeyStore } from '../../src/kms/local-key-store.ts'
import type { LocalFolder } from './local-folder.ts'
import { makeLocalFolder } from './local-folder.ts'

const disk = vi.hoisted(() => ({ full: false }))

vi.mock('../../src/kms/durable-file.ts', async (importOriginal) => {
  const original = await importOriginal<typeof DurableFile>()
  const writeDurably: typeof original.writeDurably = async (path, content) => {
    if (!disk.full) return original.writeDurably(path, content)
    throw Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC', syscall: 'write' })
  }
  return { ...original, writeDurably }
})

const kek = 'nebulaio-master'
const context = { bucket: 'pii-data' }
let folder: LocalFolder

beforeEach(async () => {
  folder = await makeLocalFolder()
})

afterEach(async () => {
  disk.full = false
  await folder.remove()
})

test('a rotation that the disk refuses changes nothing, and the next one works', async () => {
  const provider = await folder.open()
  disk.full = true
  await expect(provider.rotate(kek)).rejects.toMatchObject({
    code: 'CONNECT',
    message: expect.stringMatching(/\.key\.json: ENOSPC/),
  })
  const dataKey = await provider.generateDataKey(kek, context)
  expect(dataKey.kekVersion).toBe('1')
  disk.full = false
  expect((await provider.rotate(kek)).currentVersion).toBe('2')
  await provider.close()
  const restarted = await folder.open()
  expect(await restarted.unwrap(kek, dataKey, context)).toEqual(dataKey.plaintext)
  await restarted.close()
})

test('a first start that the disk refuses can be repeated', async () => {
  disk.full = true
  await expect(folder.open()).rejects.toThrow(/keystore\.json: ENOSPC/)
  disk.full = false
  const provider = await folder.open()
  expect((await provider.describe(kek)).currentVersion).toBe('1')
  await provider.close()
})

test('zeroing the store overwrites the material of every version', async () => {
  const provider = await folder.open()
  await provider.rotate(kek)
  await provider.close()
  const path = folder.options.masterKeyFile ?? ''
  const store = await LocalKeyStore.open(folder.store, { kind: 'file', path })
  const key = await store.find(kek)
  expect(key?.materials).toHaveLength(2)
  for (const material of key?.materials ?? []) expect(new Set(material).size).toBeGreaterThan(7)
  store.zero()
  for (const material of key?.materials ?? []) expect(material).toEqual(Buffer.alloc(32))
})

test('rotation leaves the buffers alone that calls under way may hold', async () => {
  const provider = await folder.open()
  await provider.close()
  const path = folder.options.masterKeyFile ?? ''
  const store = await LocalKeyStore.open(folder.store, { kind: 'file', path })
  const before = await store.find(kek)
  if (before === null) throw new Error('no key')
  const copy = before.materials.map((material) => Buffer.from(material))
  const after = await store.rotate(before)
  expect(before.materials).toEqual(copy)
  expect(after.materials.slice(0, 1)).toEqual(copy)
  store.zero()
})
