import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { deriveMasterKey, isMasterKeyOf } from '../../src/kms/local-master-key.ts'

// Made by a Python script from docs/local-key-store.md.
const key = Buffer.from('4813494d137e1631bba301d5acab6e7bb7aa74ce1185d456565ef51d737677b2', 'hex')
const check = 'fa2455f1be44cc4ce0dc607922e7dcdee8950de7c163f875bea1607b0e38ff47'
const wrapKey = 'c9c3b3aaabb04e5f044a14c8ea8e84e204deac66b0768b35f933872506df3527'
const passwordSalt = '676d2ac533aa9c1272232eea2803906052f457ca742e89ca997e7fa62c523904'
const passwordCheck = 'c40fcc7a037fbaef7122032e3f14c4f9828b4a5dd79c70acd0ce7dc44d1bdeae'

let folder: string
let path: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'master-key-'))
  path = join(folder, 'master.key')
})

afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

async function derive(content: string | Buffer, mode = 0o600) {
  await writeFile(path, content)
  await chmod(path, mode)
  return deriveMasterKey({ kind: 'file', path }, null)
}

describe('a master key file', () => {
  const hex = key.toString('hex')
  const base64 = key.toString('base64')
  test.for([
    ['hex', hex],
    ['hex with LF', `${hex}\n`],
    ['hex with CR LF', `${hex}\r\n`],
    ['upper-case hex', hex.toUpperCase()],
    ['base64', base64],
    ['base64 with LF', `${base64}\n`],
    ['base64 with CR LF', `${base64}\r\n`],
    ['raw', key],
  ] as const)('in %s gives the key', async ([, content]) => {
    const masterKey = await derive(content)
    expect(masterKey.check.toString('hex')).toBe(check)
    expect(masterKey.wrapKey.toString('hex')).toBe(wrapKey)
  })

  test.for([
    ['nothing', ''],
    ['a newline', '\n'],
    ['16 bytes in hex, which are 32 characters', hex.slice(0, 32)],
    ['24 bytes in hex', hex.slice(0, 48)],
    ['16 raw bytes', key.subarray(0, 16)],
    ['24 raw bytes', key.subarray(0, 24)],
    ['31 raw bytes', key.subarray(0, 31)],
    ['33 raw bytes', Buffer.concat([key, Buffer.of(1)])],
    ['raw bytes with LF', Buffer.concat([key, Buffer.from('\n')])],
    ['a digit too few', hex.slice(1)],
    ['a digit too many', `${hex}0`],
    ['a wrong digit', `g${hex.slice(1)}`],
    ['two newlines', `${hex}\n\n`],
    ['a leading space', ` ${hex}`],
    ['a trailing space', `${hex} `],
    ['a byte order mark', `\ufeff${hex}`],
    ['a second line', `${hex}\n${hex}\n`],
    ['base64 without padding', base64.slice(0, -1)],
    ['base64 that is not canonical', `${base64.slice(0, -2)}J=`],
    ['base64url', Buffer.alloc(32, 0xfb).toString('base64url')],
    ['a passphrase', 'correct horse battery staple'],
    ['a passphrase of 32 characters', 'correct horse battery staple now'],
    ['a PEM file', `-----BEGIN KEY-----\n${base64}\n-----END KEY-----\n`],
    ['much more', 'a'.repeat(100_000)],
  ] as const)('of %s is refused with the forms', async ([, content]) => {
    await expect(derive(content)).rejects.toMatchObject({
      name: 'KeyStoreError',
      file: path,
      message: expect.stringMatching(/master\.key: .*64 hex digits.*44 characters.*raw/),
    })
  })

  test.for([
    ['zeros', Buffer.alloc(32)],
    ['one byte', Buffer.alloc(32, 0xa5)],
    ['ascending bytes', Buffer.from(Array.from({ length: 32 }, (_, index) => index))],
    ['descending bytes', Buffer.from(Array.from({ length: 32 }, (_, index) => 0xff - index))],
    ['bytes in steps', Buffer.from(Array.from({ length: 32 }, (_, index) => (index * 17) & 0xff))],
    ['a repeated pattern', Buffer.alloc(32, Buffer.from('deadbeef', 'hex'))],
  ] as const)('of %s is refused as not random', async ([, weak]) => {
    for (const content of [weak, weak.toString('hex'), weak.toString('base64')]) {
      await expect(derive(content)).rejects.toThrow(`${path}: the key isn't random`)
    }
  })

  test('of random bytes is never refused', async () => {
    for (let round = 0; round < 50; round += 1) {
      const random = randomBytes(32)
      expect((await derive(random)).check).toEqual((await derive(random.toString('hex'))).check)
    }
  })

  test.for([0o640, 0o604, 0o644, 0o660, 0o610, 0o601, 0o666, 0o777])(
    'of mode %i is refused with the remedy',
    async (mode) => {
      await expect(derive(key, mode)).rejects.toThrow(`run: chmod 600 ${path}`)
    },
  )

  test.for([0o600, 0o400])('of mode %i is taken', async (mode) => {
    expect((await derive(key, mode)).check.toString('hex')).toBe(check)
  })

  test.for([
    ['that is missing', () => join(folder, 'other.key'), 'ENOENT'],
    ['that is a folder', () => folder, 'EISDIR'],
  ] as const)('%s is named', async ([, wrongPath, code]) => {
    await chmod(folder, 0o700)
    const source = { kind: 'file', path: wrongPath() } as const
    await expect(deriveMasterKey(source, null)).rejects.toMatchObject({
      file: wrongPath(),
      message: expect.stringContaining(code),
    })
  })

  test('shows nothing of its content in an error', async () => {
    const error = await derive(`${hex.slice(0, 60)}zzzz`).catch((error: unknown) => error)
    expect(String(error)).not.toContain(hex.slice(0, 8))
  })
})

describe('a master password', () => {
  const parameters = { n: 2 ** 14, r: 8, p: 1, salt: Buffer.from(passwordSalt, 'hex') }
  const password = 'pässwörd-of-the-store'

  test('gives the key of another implementation', async () => {
    const masterKey = await deriveMasterKey({ kind: 'password', password }, parameters)
    expect(masterKey.check.toString('hex')).toBe(passwordCheck)
    expect(isMasterKeyOf(masterKey, Buffer.from(passwordCheck, 'hex'))).toBe(true)
  })

  test.for([
    ['another password', `${password} `, parameters],
    ['another salt', password, { ...parameters, salt: Buffer.alloc(32) }],
    ['another cost', password, { ...parameters, n: 2 ** 15 }],
    ['another block size', password, { ...parameters, r: 9 }],
    ['another parallelism', password, { ...parameters, p: 2 }],
  ] as const)('with %s gives another key', async ([, password, parameters]) => {
    const masterKey = await deriveMasterKey({ kind: 'password', password }, parameters)
    expect(isMasterKeyOf(masterKey, Buffer.from(passwordCheck, 'hex'))).toBe(false)
  })

  test.for([0, 31, 33])('a check value of %i bytes is nobody’s', async (size) => {
    const masterKey = await deriveMasterKey({ kind: 'password', password }, parameters)
    expect(isMasterKeyOf(masterKey, Buffer.alloc(size))).toBe(false)
  })
})
