import { spawn } from 'node:child_process'
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { DataKey } from '../../src/kms/provider.ts'
import type { LocalFolder } from './local-folder.ts'
import { makeLocalFolder } from './local-folder.ts'

const kek = 'nebulaio-master'
const context = { bucket: 'pii-data' }
const script = new URL('local-process.ts', import.meta.url).pathname

let folder: LocalFolder

beforeEach(async () => {
  folder = await makeLocalFolder()
})

afterEach(async () => {
  vi.restoreAllMocks()
  await folder.remove()
})

function start(command: string) {
  const child = spawn(process.execPath, [script, command, JSON.stringify(folder.options)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  let errors = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  const ended = new Promise<DataKey[]>((resolve, reject) => {
    child.on('close', (code) => {
      if (code !== 0) {
        reject(new Error(`ended with ${code}: ${errors}`))
        return
      }
      const keys: { plaintext: string; wrapped: string; kekVersion: string }[] = JSON.parse(output)
      resolve(
        keys.map(({ plaintext, wrapped, kekVersion }) => ({
          plaintext: Buffer.from(plaintext, 'hex'),
          wrapped: Buffer.from(wrapped, 'hex'),
          kekVersion,
        })),
      )
    })
  })
  return { child, ended, output: () => output }
}

/** Lets the provider take its memory for outdated. */
function passOneSecond(): void {
  const now = performance.now.bind(performance)
  vi.spyOn(performance, 'now').mockImplementation(() => now() + 1001)
}

describe('several processes', () => {
  test('that start at once on an empty folder end up with one key', async () => {
    const starts = await Promise.all(['open', 'open', 'open', 'open'].map((c) => start(c).ended))
    const provider = await folder.open()
    await folder.keyFile()
    for (const key of starts.flat()) {
      expect(await provider.unwrap(kek, key, context)).toEqual(key.plaintext)
    }
    expect(starts.flat()).toHaveLength(4)
    await provider.close()
  })

  test('that rotate at once lose no version', async () => {
    const before = await folder.open()
    const own = await before.generateDataKey(kek, context)
    const rotations = await Promise.all(['rotate', 'rotate', 'rotate'].map((c) => start(c).ended))
    const keys = [own, ...rotations.flat()]
    const after = await folder.open()
    expect((await after.describe(kek)).currentVersion).toBe('16')
    for (const key of keys) {
      expect(await before.unwrap(kek, key, context)).toEqual(key.plaintext)
      expect(await after.unwrap(kek, key, context)).toEqual(key.plaintext)
    }
    await Promise.all([before.close(), after.close()])
  })

  test('are not held up by one that was killed with the lock', async () => {
    const provider = await folder.open()
    const holder = start('hold')
    const ended = holder.ended.catch(String)
    await expect.poll(holder.output, { timeout: 20_000 }).toBe('held\n')
    const reason = new Error('too long')
    await expect(provider.rotate(kek, AbortSignal.timeout(100))).rejects.toMatchObject({
      name: 'TimeoutError',
    })
    const controller = new AbortController()
    const waiting = provider.rotate(kek, controller.signal)
    const dataKey = await provider.generateDataKey(kek, context)
    expect(await provider.unwrap(kek, dataKey, context)).toEqual(dataKey.plaintext)
    controller.abort(reason)
    await expect(waiting).rejects.toBe(reason)
    holder.child.kill('SIGKILL')
    expect(await ended).toContain('ended with null')
    expect((await provider.rotate(kek)).currentVersion).toBe('2')
    await provider.close()
  })
})

describe('what another process wrote', () => {
  test('is unwrapped at once and wrapped with within a second', async () => {
    const [ours, theirs] = [await folder.open(), await folder.open()]
    await theirs.rotate(kek)
    const dataKey = await theirs.generateDataKey(kek, context)
    expect(await ours.unwrap(kek, dataKey, context)).toEqual(dataKey.plaintext)
    await theirs.rotate(kek)
    passOneSecond()
    expect((await ours.generateDataKey(kek, context)).kekVersion).toBe('3')
    await Promise.all([ours.close(), theirs.close()])
  })

  test('as a new key is found by name and by id', async () => {
    const [ours, theirs] = [await folder.open(), await folder.open()]
    const first = await folder.keyFile()
    await theirs.createKey('pii-key')
    const file = (await readdir(folder.store)).find(
      (name) => name.endsWith('.key.json') && !first.endsWith(name),
    )
    const id = file?.split('.')[0] ?? ''
    const dataKey = await theirs.generateDataKey('pii-key', context)
    passOneSecond()
    expect(await ours.unwrap(id, dataKey, context)).toEqual(dataKey.plaintext)
    expect(await ours.unwrap('pii-key', dataKey, context)).toEqual(dataKey.plaintext)
    await expect(ours.unwrap(kek, dataKey, context)).rejects.toMatchObject({ code: 'REJECTED' })
    await expect(ours.createKey('pii-key')).rejects.toMatchObject({ code: 'DENIED' })
    await expect(ours.createKey('../x')).rejects.toMatchObject({ code: 'DENIED' })
    await Promise.all([ours.close(), theirs.close()])
  })

  test('and left unfinished is ignored, and removed by the next writer', async () => {
    await (await folder.open()).close()
    const left = ['.keystore.json.0123456789abcdef.tmp', '.x.key.json.fedcba9876543210.tmp']
    for (const name of left) await writeFile(join(folder.store, name), '{"half": ')
    const provider = await folder.open()
    await provider.generateDataKey(kek, context)
    expect(await readdir(folder.store)).toEqual(expect.arrayContaining(left))
    await provider.rotate(kek)
    expect((await readdir(folder.store)).filter((name) => name.endsWith('.tmp'))).toEqual([])
    await provider.close()
  })
})

describe('a running provider whose key file', () => {
  test.for([
    ['is damaged', (path: string) => writeFile(path, '{')],
    ['is missing', (path: string) => rm(path)],
    ['is an older copy', (path: string, older: string) => copyFile(older, path)],
  ] as const)('%s fails with CONNECT until the file is back', async ([, damage]) => {
    const provider = await folder.open()
    const path = await folder.keyFile()
    const aside = join(folder.store, '..', 'aside')
    await mkdir(aside)
    await copyFile(path, join(aside, 'older'))
    await provider.rotate(kek)
    const dataKey = await provider.generateDataKey(kek, context)
    await copyFile(path, join(aside, 'newer'))
    await damage(path, join(aside, 'older'))
    passOneSecond()
    const failure = { code: 'CONNECT', retryable: true, message: expect.stringContaining(path) }
    await expect(provider.generateDataKey(kek, context)).rejects.toMatchObject(failure)
    await expect(provider.unwrap(kek, dataKey, context)).rejects.toMatchObject(failure)
    await expect(provider.rotate(kek)).rejects.toMatchObject(failure)
    await copyFile(join(aside, 'newer'), path)
    expect(await provider.unwrap(kek, dataKey, context)).toEqual(dataKey.plaintext)
    expect((await provider.rotate(kek)).currentVersion).toBe('3')
    await provider.close()
  })
})

test('the folder and the log hold no key in the clear', async () => {
  const provider = await folder.open()
  await provider.rotate(kek)
  const { plaintext } = await provider.generateDataKey(kek, context)
  await provider.close()
  const secrets = [plaintext, Buffer.from(await readFile(folder.options.masterKeyFile ?? ''))]
  const names = await readdir(folder.store)
  const texts = await Promise.all(names.map((name) => readFile(join(folder.store, name), 'latin1')))
  for (const secret of secrets) {
    for (const text of [...texts, ...folder.log]) {
      expect(text).not.toContain(secret.toString('latin1'))
      expect(text).not.toContain(secret.toString('hex'))
      expect(text).not.toContain(secret.toString('base64'))
    }
  }
})
