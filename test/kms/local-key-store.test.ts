import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openLocalKeyProvider } from '../../src/kms/local.ts'
import type { LocalFolder } from './local-folder.ts'
import { makeLocalFolder } from './local-folder.ts'

const logger = { debug() {}, info() {}, warn() {}, error() {} }
const kek = 'nebulaio-master'
const context = { bucket: 'pii-data' }
const masterPassword = 'a password that is long enough'

let folder: LocalFolder

beforeEach(async () => {
  folder = await makeLocalFolder()
})

afterEach(async () => {
  await folder.remove()
})

function passwordOptions(password = masterPassword) {
  const { keyStorePath, keyName } = folder.options
  return { keyStorePath, keyName, masterPassword: password }
}

async function makeStore() {
  const provider = await folder.open()
  await provider.rotate(kek)
  const dataKey = await provider.generateDataKey(kek, context)
  await provider.close()
  return dataKey
}

async function snapshot(): Promise<Record<string, string>> {
  const names = (await readdir(folder.store)).sort()
  const texts = await Promise.all(
    names.map(async (name) => [name, await readFile(join(folder.store, name), 'latin1')]),
  )
  return Object.fromEntries(texts)
}

describe('the first start', () => {
  test('makes a store with one key, readable for its owner only', async () => {
    const provider = await folder.open()
    expect(await provider.describe(kek)).toEqual({ name: kek, currentVersion: '1', enabled: true })
    await provider.close()
    const modes = await Promise.all(
      [folder.store, join(folder.store, 'keystore.json'), await folder.keyFile()].map(
        async (path) => (await stat(path)).mode & 0o777,
      ),
    )
    expect(modes).toEqual([0o700, 0o600, 0o600])
    expect(folder.log.join('\n')).toContain('made a new local key store')
    expect(folder.log.join('\n')).toContain('not for production')
  })

  test('of a name that can be none leaves nothing behind', async () => {
    for (const keyName of ['', '-x', 'a/b', '../x', 'a b', 'ü', 'a'.repeat(129), 'ab'.repeat(16)]) {
      await expect(folder.open({ keyName })).rejects.toThrow("can't be a key's name")
    }
    await expect(stat(folder.store)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('is finished by the next one if it was cut off before the key', async () => {
    await makeStore()
    await rm(await folder.keyFile())
    const header = join(folder.store, 'keystore.json')
    await folder.edit(header, (text) => text.replace('true', 'false'))
    const provider = await folder.open()
    expect((await provider.describe(kek)).currentVersion).toBe('1')
    expect(await readFile(header, 'utf8')).toContain('"initialized": true')
    await provider.close()
  })

  test('is finished with the key that is there if it was cut off after it', async () => {
    const dataKey = await makeStore()
    const header = join(folder.store, 'keystore.json')
    await folder.edit(header, (text) => text.replace('true', 'false'))
    const provider = await folder.open()
    expect(await provider.unwrap(kek, dataKey, context)).toEqual(dataKey.plaintext)
    await provider.close()
  })

  test('that was cut off is not finished under another master key', async () => {
    await makeStore()
    await folder.edit(join(folder.store, 'keystore.json'), (text) => text.replace('true', 'false'))
    const other = await makeLocalFolder()
    const masterKeyFile = other.options.masterKeyFile ?? ''
    const before = await snapshot()
    await expect(folder.open({ masterKeyFile })).rejects.toThrow("isn't the one")
    expect(await snapshot()).toEqual(before)
    await other.remove()
  })

  test('makes no key when the store has others', async () => {
    await makeStore()
    await expect(folder.open({ keyName: 'another' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'key not found: another',
    })
    expect((await readdir(folder.store)).filter((name) => name.endsWith('.key.json'))).toHaveLength(
      1,
    )
  })
})

describe('the master key', () => {
  test('as a password opens the store again, and no other password does', async () => {
    const first = await openLocalKeyProvider(passwordOptions(), logger)
    const dataKey = await first.generateDataKey(kek, context)
    await first.close()
    const again = await openLocalKeyProvider(passwordOptions(), logger)
    expect(await again.unwrap(kek, dataKey, context)).toEqual(dataKey.plaintext)
    await again.close()
    const before = await snapshot()
    const wrong = openLocalKeyProvider(passwordOptions(`${masterPassword}!`), logger)
    await expect(wrong).rejects.toThrow("keystore.json: the master password isn't the one")
    await expect(wrong).rejects.not.toThrow(masterPassword)
    await expect(folder.open()).rejects.toThrow('master key of the kind "password"')
    expect(await snapshot()).toEqual(before)
  })

  test('in another file is refused, and the store stays as it was', async () => {
    await makeStore()
    const other = await makeLocalFolder()
    const masterKeyFile = other.options.masterKeyFile ?? ''
    const before = await snapshot()
    await expect(folder.open({ masterKeyFile })).rejects.toMatchObject({
      name: 'KeyStoreError',
      message: expect.stringMatching(/keystore\.json: the master key in .* isn't the one/),
    })
    expect(await snapshot()).toEqual(before)
    await other.remove()
  })

  test('has to be given, once', async () => {
    const { keyStorePath, keyName } = folder.options
    await expect(openLocalKeyProvider({ keyStorePath, keyName }, logger)).rejects.toThrow(
      'needs a master key file or a master password',
    )
    await expect(folder.open({ masterPassword })).rejects.toThrow('choose one')
    for (const short of ['', 'short', 'a'.repeat(11)]) {
      const opening = openLocalKeyProvider(passwordOptions(short), logger)
      await expect(opening).rejects.toThrow('fewer than 12 characters')
    }
    await expect(stat(folder.store)).rejects.toMatchObject({ code: 'ENOENT' })
  })
})
