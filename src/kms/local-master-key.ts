import { createHmac, scrypt, timingSafeEqual } from 'node:crypto'
import { open } from 'node:fs/promises'
import { KeyStoreError, namingFile } from './key-store-error.ts'
import type { ScryptParameters } from './local-key-file.ts'
import { storeHeaderFormat } from './local-key-file.ts'
import { expand, keySize } from './local-wrapping.ts'

/** Where the operator keeps the master key. */
export type MasterKeySource =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'password'; readonly password: string }

/** What the master key is used for. `wrapKey` is secret, `check` isn't; the owner zeroes. */
export interface MasterKey {
  readonly wrapKey: Buffer
  readonly check: Buffer
}

/** The fewest characters that a master password may have. */
export const minimumPasswordLength = 12

const longestKeyFileSize = 2 * keySize + 2
const fewestDifferentBytes = 8
const expectedForms =
  'expected 32 bytes as 64 hex digits, as 44 characters of base64, or raw ' +
  '(make one with: openssl rand -hex 32)'

/**
 * The master key as docs/local-key-store.md derives it. `scryptParameters` belong to a password
 * and are ignored for a file. Throws {@link KeyStoreError} for a file that doesn't hold a key, or
 * that others than its owner can access.
 */
export async function deriveMasterKey(
  source: MasterKeySource,
  scryptParameters: ScryptParameters | null,
): Promise<MasterKey> {
  const root = await rootKey(source, scryptParameters)
  const checkKey = expand(root, Buffer.from('nebulaio/local/master-check\0'))
  const wrapKey = expand(root, Buffer.from('nebulaio/local/master-wrap\0'))
  const check = createHmac('sha256', checkKey).update(storeHeaderFormat).digest()
  root.fill(0)
  checkKey.fill(0)
  return { wrapKey, check }
}

/** Whether the stored check value is this master key's; takes the same time wherever they differ. */
export function isMasterKeyOf(masterKey: MasterKey, storedCheck: Buffer): boolean {
  return (
    storedCheck.length === masterKey.check.length && timingSafeEqual(storedCheck, masterKey.check)
  )
}

async function rootKey(
  source: MasterKeySource,
  parameters: ScryptParameters | null,
): Promise<Buffer> {
  if (source.kind === 'file') return readMasterKeyFile(source.path)
  if (parameters === null) throw new TypeError('a password needs scrypt parameters')
  return scryptKey(source.password, parameters)
}

function scryptKey(password: string, { n, r, p, salt }: ScryptParameters): Promise<Buffer> {
  const maxmem = 256 * n * r
  return new Promise((resolve, reject) => {
    scrypt(password, salt, keySize, { N: n, r, p, maxmem }, (error, key) => {
      if (error === null) resolve(key)
      else reject(error)
    })
  })
}

/** The 32 bytes of a master key file, which the caller zeroes. */
async function readMasterKeyFile(path: string): Promise<Buffer> {
  const content = Buffer.alloc(longestKeyFileSize + 1)
  try {
    const size = await namingFile(path, async () => {
      const file = await open(path, 'r')
      try {
        const { mode } = await file.stat()
        refuseSharedFile(path, mode)
        return await readUpTo(file, content)
      } finally {
        await file.close()
      }
    })
    const key = parseMasterKey(content.subarray(0, size))
    if (key === null) throw new KeyStoreError(path, `holds no master key: ${expectedForms}`)
    if (isGuessable(key)) {
      throw new KeyStoreError(path, `the key isn't random (make one with: openssl rand -hex 32)`)
    }
    return key
  } finally {
    content.fill(0)
  }
}

async function readUpTo(
  file: { read: (buffer: Buffer, offset: number) => Promise<{ bytesRead: number }> },
  content: Buffer,
): Promise<number> {
  let size = 0
  while (size < content.length) {
    const { bytesRead } = await file.read(content, size)
    if (bytesRead === 0) break
    size += bytesRead
  }
  return size
}

function refuseSharedFile(path: string, mode: number): void {
  if ((mode & 0o077) === 0) return
  const shown = (mode & 0o777).toString(8).padStart(4, '0')
  throw new KeyStoreError(
    path,
    `mode ${shown} lets others than the owner access the master key (run: chmod 600 ${path})`,
  )
}

/** Null if the content has none of the three forms. */
function parseMasterKey(content: Buffer): Buffer | null {
  if (content.length === keySize) {
    // 32 printable characters are a password or half of a hex key, not 32 random bytes.
    const isText = content.every((byte) => byte >= 0x20 && byte < 0x7f)
    return isText ? null : Buffer.from(content)
  }
  const text = content.toString('latin1').replace(/\r?\n$/, '')
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Buffer.from(text, 'hex')
  const key = Buffer.from(text, 'base64')
  return key.length === keySize && key.toString('base64') === text ? key : null
}

function isGuessable(key: Buffer): boolean {
  const step = ((key[1] ?? 0) - (key[0] ?? 0)) & 0xff
  const isProgression = key.every(
    (byte, index) => index === 0 || ((byte - (key[index - 1] ?? 0)) & 0xff) === step,
  )
  return isProgression || new Set(key).size < fewestDifferentBytes
}
