import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { LocalFolder } from './local-folder.ts'
import { makeLocalFolder } from './local-folder.ts'

let folder: LocalFolder

beforeEach(async () => {
  folder = await makeLocalFolder()
})

afterEach(async () => {
  await folder.remove()
})

async function makeStore() {
  const provider = await folder.open()
  await provider.rotate('nebulaio-master')
  await provider.close()
}

describe('a damaged store does not start, names the file and stays as it was', () => {
  type Damage = readonly [name: string, file: RegExp, damage: () => Promise<unknown>]
  const edit = (pattern: RegExp | string, text: string) => async () => {
    const path = await folder.keyFile()
    await folder.edit(path, (before) => {
      const after = before.replace(pattern, text)
      expect(after).not.toBe(before)
      return after
    })
  }
  const editHeader = (pattern: RegExp | string, text: string) => async () => {
    await folder.edit(join(folder.store, 'keystore.json'), (before) => {
      const after = before.replace(pattern, text)
      expect(after).not.toBe(before)
      return after
    })
  }
  const add = (name: string) => async () => {
    await writeFile(join(folder.store, name), 'x')
  }
  const key = /[0-9a-f]{32}\.key\.json/
  const header = /keystore\.json/
  const damages: readonly Damage[] = [
    ['an empty key file', key, edit(/^[^]*$/, '')],
    ['half a key file', key, edit(/"versions"[^]*$/, '')],
    ['text behind the key', key, edit(/\n$/, '}')],
    ['another format', key, edit('local-key/1', 'local-key/2')],
    ['another name', key, edit('nebulaio-master', 'nebulaio-mastes')],
    ['another id', key, edit(/"id": "./, '"id": "g')],
    ['the id of another key', key, edit(/"id": ".*"/, `"id": "${'0'.repeat(32)}"`)],
    ['an unknown state', key, edit('ENABLED', 'enabled')],
    ['an unknown member', key, edit('"state"', '"note": "x", "state"')],
    ['an unknown member of a version', key, edit('"version": 1', '"x": 1, "version": 1')],
    ['no versions', key, edit(/"versions": \[[^]*\]/, '"versions": []')],
    ['a missing first version', key, edit(/\{\s*"version": 1[^}]*\},/, '')],
    ['a missing last version', key, edit(/,\s*\{\s*"version": 2[^}]*\}/, '')],
    ['a version twice', key, edit('"version": 2', '"version": 1')],
    ['a gap', key, edit('"version": 2', '"version": 3')],
    ['a version 0', key, edit('"version": 1', '"version": 0')],
    ['a version of text', key, edit('"version": 1', '"version": "1"')],
    ['two current versions', key, edit('DECRYPT_ONLY', 'CURRENT')],
    ['no current version', key, edit('CURRENT', 'DECRYPT_ONLY')],
    ['no date', key, edit(/"created_at": ".*"/, '"created_at": "yesterday"')],
    ['a changed wrapped key', key, edit(/"wrapped": "...../, '"wrapped": "AAAAA')],
    ['a short wrapped key', key, edit(/"wrapped": "..../, '"wrapped": "')],
    ['a wrapped key that is not base64', key, edit(/"wrapped": "./, '"wrapped": "*')],
    ['an array', key, edit(/^[^]*$/, '[]')],
    ['null', key, edit(/^[^]*$/, 'null')],
    ['an empty header', header, editHeader(/^[^]*$/, '')],
    ['a header of another format', header, editHeader('keystore/1', 'keystore/2')],
    ['a header with an unknown member', header, editHeader('"format"', '"x": 1, "format"')],
    ['a header of another kind', header, editHeader('"file"', '"pin"')],
    ['a header with a changed check', header, editHeader(/"check": "...../, '"check": "AAAAA')],
    ['a header without a check', header, editHeader(/"check": ".*"/, '"check": ""')],
    ['no header', header, () => rm(join(folder.store, 'keystore.json'))],
    ['a stray file', /notes\.txt/, add('notes.txt')],
    ['a backup of an editor', /\.json~/, add(`${'0'.repeat(32)}.key.json~`)],
    ['a key file with a wrong name', /MASTER\.key\.json/, add('MASTER.key.json')],
    ['a key file of text', /0{32}\.key\.json/, add(`${'0'.repeat(32)}.key.json`)],
    ['a master key inside', /\.master\.key/, add('.master.key')],
    ['a folder inside', /inside/, () => mkdir(join(folder.store, 'inside'))],
    [
      'a folder in place of a key',
      key,
      async () => {
        const path = await folder.keyFile()
        await rm(path)
        await mkdir(path)
      },
    ],
    [
      'the key under another id',
      /1{32}\.key\.json/,
      async () => rename(await folder.keyFile(), join(folder.store, `${'1'.repeat(32)}.key.json`)),
    ],
    ['all keys gone', /keys: all key files are missing/, async () => rm(await folder.keyFile())],
  ]

  test.for(damages)('%s', async ([, file, damage]) => {
    await makeStore()
    await damage()
    const names = await readdir(folder.store)
    const error = await folder.open().catch((error: unknown) => error)
    expect(error).toMatchObject({ name: 'KeyStoreError', message: expect.stringMatching(file) })
    expect(await readdir(folder.store)).toEqual(names)
  })

  test('a version under the number of another', async () => {
    await makeStore()
    const path = await folder.keyFile()
    await folder.edit(path, (text) => {
      const [first = '', second = ''] = [...text.matchAll(/"wrapped": "(.*)"/g)].map(
        (match) => match[1],
      )
      return text.replace(first, 'x').replace(second, first).replace('"x"', `"${second}"`)
    })
    await expect(folder.open()).rejects.toThrow("version 1 doesn't open")
  })

  test('a key of another store', async () => {
    await makeStore()
    const other = await makeLocalFolder()
    await (await other.open()).close()
    const foreign = await other.keyFile()
    await rename(foreign, join(folder.store, foreign.split('/').at(-1) ?? ''))
    await expect(folder.open()).rejects.toThrow("version 1 doesn't open")
    await other.remove()
  })

  test('a second key with the name of the first', async () => {
    await makeStore()
    const masterKeyFile = folder.options.masterKeyFile ?? ''
    const other = await makeLocalFolder()
    await (await other.open({ masterKeyFile })).close()
    const twin = await other.keyFile()
    await rename(twin, join(folder.store, twin.split('/').at(-1) ?? ''))
    await expect(folder.open()).rejects.toThrow('is also the name of')
    await other.remove()
  })
})
