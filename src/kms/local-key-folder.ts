import { randomBytes, timingSafeEqual } from 'node:crypto'
import { open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { unfinishedName, writeDurably } from './durable-file.ts'
import { withFileLock } from './file-lock.ts'
import { isMissing, KeyStoreError, namingFile } from './key-store-error.ts'
import type { KeyRecord, StoreHeader } from './local-key-file.ts'
import { marshalRecord, parseKeyRecord, parseStoreHeader } from './local-key-file.ts'
import type { MasterKey } from './local-master-key.ts'
import { keyFileFormat, keySize, unwrapMaterial, wrapMaterial } from './local-wrapping.ts'

const headerName = 'keystore.json'
const lockName = 'keystore.lock'
const keyFileName = /^([0-9a-f]{32})\.key\.json$/
const lockTimeoutMs = 30_000

/** A key file as read and opened. The materials are in the order of the versions; the owner zeroes. */
export interface OpenedKey {
  readonly record: KeyRecord
  readonly materials: readonly Buffer[]
  /** Changes whenever the file does. */
  readonly stamp: string
}

/** The path of a key's file. */
export function keyFilePath(directory: string, id: string): string {
  return join(directory, `${id}.key.json`)
}

/** The path of keystore.json. */
export function storeHeaderPath(directory: string): string {
  return join(directory, headerName)
}

/** The ids of all keys in the folder. Throws {@link KeyStoreError} at a file that isn't of a store. */
export async function listKeyIds(directory: string): Promise<string[]> {
  const names = await namingFile(directory, () => readdir(directory))
  const others = new Set([headerName, lockName])
  return names
    .filter((name) => !others.has(name) && !unfinishedName.test(name))
    .map((name) => {
      const id = keyFileName.exec(name)?.[1]
      if (id !== undefined) return id
      throw new KeyStoreError(
        join(directory, name),
        'is no file of a key store (move it out of the folder; the master key belongs elsewhere)',
      )
    })
}

/** Null if the folder or the header isn't there. */
export async function readStoreHeader(directory: string): Promise<StoreHeader | null> {
  const path = storeHeaderPath(directory)
  try {
    return parseStoreHeader(path, (await readWhole(path)).text)
  } catch (error) {
    if (error instanceof KeyStoreError && isMissing(error.cause)) return null
    throw error
  }
}

/** Reads a key file and opens every version; throws {@link KeyStoreError} if any of it is wrong. */
export async function openKeyFile(
  directory: string,
  id: string,
  masterKey: MasterKey,
): Promise<OpenedKey> {
  const path = keyFilePath(directory, id)
  const { text, stamp } = await readWhole(path)
  const record = parseKeyRecord(path, text)
  if (record.id !== id) throw new KeyStoreError(path, `holds the key with the id ${record.id}`)
  const materials: Buffer[] = []
  for (const { version, wrapped } of record.versions) {
    const material = unwrapMaterial(masterKey.wrapKey, wrapped, { ...record, version })
    if (material === null) {
      zeroAll(materials)
      throw new KeyStoreError(path, `version ${version} doesn't open: damaged, or of another store`)
    }
    materials.push(material)
  }
  return { record, materials, stamp }
}

/** The stamp that {@link openKeyFile} would give now. */
export async function readStamp(path: string): Promise<string> {
  return namingFile(path, async () => stampOf(await stat(path, { bigint: true })))
}

/** A new key with one version, written durably. Call it under the lock; the name must be free. */
export async function writeNewKey(
  directory: string,
  name: string,
  masterKey: MasterKey,
): Promise<string> {
  const id = randomBytes(16).toString('hex')
  const versions = [newVersion(masterKey, { id, name, version: 1 })]
  const record: KeyRecord = { format: keyFileFormat, id, name, state: 'ENABLED', versions }
  await writeRecord(keyFilePath(directory, id), record)
  return id
}

/** Appends a version to a key's file, durably; all others stay. Call it under the lock. */
export async function writeNextVersion(
  directory: string,
  record: KeyRecord,
  masterKey: MasterKey,
): Promise<void> {
  const { id, name } = record
  const earlier = record.versions.map((version) => ({ ...version, state: 'DECRYPT_ONLY' as const }))
  const next = newVersion(masterKey, { id, name, version: earlier.length + 1 })
  const path = keyFilePath(directory, id)
  await writeRecord(path, { ...record, versions: [...earlier, next] })
}

/** Writes keystore.json durably. Call it under the lock. */
export async function writeStoreHeader(directory: string, header: StoreHeader): Promise<void> {
  await writeRecord(storeHeaderPath(directory), header)
}

/** Runs `task` as the only writer of the folder, among all processes. */
export async function asOnlyWriter<T>(
  directory: string,
  task: () => Promise<T>,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<T> {
  const locked = async () => {
    await removeUnfinished(directory)
    return task()
  }
  return withFileLock(join(directory, lockName), locked, { ...options, timeoutMs: lockTimeoutMs })
}

/** Whether two materials are the same; takes the same time wherever they differ. */
export function isSameMaterial(first: Buffer, second: Buffer): boolean {
  return timingSafeEqual(first, second)
}

/** Overwrites key material. */
export function zeroAll(materials: Iterable<Buffer>): void {
  for (const material of materials) material.fill(0)
}

function newVersion(masterKey: MasterKey, identity: { id: string; name: string; version: number }) {
  const material = randomBytes(keySize)
  const wrapped = wrapMaterial(masterKey.wrapKey, material, identity)
  material.fill(0)
  const created_at = new Date().toISOString()
  return { version: identity.version, created_at, state: 'CURRENT' as const, wrapped }
}

async function writeRecord(path: string, record: StoreHeader | KeyRecord): Promise<void> {
  await namingFile(path, () => writeDurably(path, marshalRecord(record)))
}

// Only the lock's holder writes, so what it finds unfinished was left by a crash.
async function removeUnfinished(directory: string): Promise<void> {
  await namingFile(directory, async () => {
    const names = await readdir(directory)
    for (const name of names.filter((name) => unfinishedName.test(name))) {
      await rm(join(directory, name), { force: true })
    }
  })
}

async function readWhole(path: string): Promise<{ text: string; stamp: string }> {
  return namingFile(path, async () => {
    const file = await open(path, 'r')
    try {
      // Both from one handle, so that they belong together even if the file is replaced meanwhile.
      const stamp = stampOf(await file.stat({ bigint: true }))
      return { text: await file.readFile('utf8'), stamp }
    } finally {
      await file.close()
    }
  })
}

function stampOf(stats: { ino: bigint; size: bigint; mtimeNs: bigint; ctimeNs: bigint }): string {
  return [stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs].join(':')
}
