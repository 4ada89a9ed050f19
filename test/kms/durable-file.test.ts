import { mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { makeDirectoryDurably, unfinishedName, writeDurably } from '../../src/kms/durable-file.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'durable-file-'))
})

afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

test('replaces a file, and only its owner can read it', async () => {
  const path = join(folder, 'a.json')
  await writeDurably(path, 'first')
  await writeDurably(path, 'second')
  expect(await readFile(path, 'utf8')).toBe('second')
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  expect(await readdir(folder)).toEqual(['a.json'])
})

test('readers see the old or the new content, never a part', async () => {
  const path = join(folder, 'a.json')
  const contents = ['a', 'b', 'c'].map((letter) => letter.repeat(100_000))
  await writeDurably(path, contents[0] ?? '')
  const writer = { done: false }
  const writing = (async () => {
    for (let round = 0; round < 20; round += 1) await writeDurably(path, contents[round % 3] ?? '')
    writer.done = true
  })()
  const seen = new Set<string>()
  while (!writer.done) seen.add(await readFile(path, 'utf8'))
  await writing
  expect([...seen].filter((content) => !contents.includes(content))).toEqual([])
  expect(seen.size).toBeGreaterThan(0)
})

test('a write that fails leaves nothing unfinished behind', async () => {
  const path = join(folder, 'a.json')
  await mkdir(path)
  await expect(writeDurably(path, 'text')).rejects.toMatchObject({ code: 'EISDIR' })
  expect(await readdir(folder)).toEqual(['a.json'])
})

test('makes a folder with its parents for the owner only', async () => {
  const path = join(folder, 'a', 'b', 'c')
  await makeDirectoryDurably(path)
  await makeDirectoryDurably(path)
  for (const made of ['a', 'a/b', 'a/b/c']) {
    expect((await stat(join(folder, made))).mode & 0o777).toBe(0o700)
  }
})

test.for([
  ['.keystore.json.0123456789abcdef.tmp', true],
  ['keystore.json', false],
  ['keystore.json.0123456789abcdef.tmp', false],
  ['.keystore.json.0123456789abcdeg.tmp', false],
  ['.keystore.json.0123.tmp', false],
  ['.keystore.json.0123456789abcdef.tmp2', false],
] as const)('"%s" is unfinished: %s', ([name, unfinished]) => {
  expect(unfinishedName.test(name)).toBe(unfinished)
})
