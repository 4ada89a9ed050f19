import { randomBytes } from 'node:crypto'
import { makeDirectoryDurably } from './durable-file.ts'
import { KeyStoreError, namingFile } from './key-store-error.ts'
import type { StoreHeader } from './local-key-file.ts'
import { isKeyName, storeHeaderFormat } from './local-key-file.ts'
import {
  asOnlyWriter,
  isSameMaterial,
  keyFilePath,
  listKeyIds,
  openKeyFile,
  readStamp,
  readStoreHeader,
  storeHeaderPath,
  writeNewKey,
  writeNextVersion,
  writeStoreHeader,
  zeroAll,
} from './local-key-folder.ts'
import type { OpenedKey } from './local-key-folder.ts'
import type { MasterKey, MasterKeySource } from './local-master-key.ts'
import { deriveMasterKey, isMasterKeyOf } from './local-master-key.ts'

const recheckIntervalMs = 1000
const scryptCost = { n: 2 ** 17, r: 8, p: 1 }
const scryptSaltSize = 32

/** A key in memory. `materials[0]` is version 1; use it without awaiting, `close` zeroes it. */
export interface StoredKey {
  readonly id: string
  readonly name: string
  readonly enabled: boolean
  readonly materials: readonly Buffer[]
}

interface Entry {
  opened: OpenedKey
  checkedAt: number
}

/**
 * Makes a store with one key in a folder that is empty or missing, and finishes one whose making
 * was cut off. True if it did either, false if the store was there. Any number of processes may
 * call it at once: they end up with one store. Throws {@link KeyStoreError}.
 */
export async function initializeKeyStore(
  directory: string,
  source: MasterKeySource,
  keyName: string,
): Promise<boolean> {
  if ((await readStoreHeader(directory))?.initialized === true) return false
  const path = storeHeaderPath(directory)
  if (!isKeyName(keyName)) throw new KeyStoreError(path, `"${keyName}" can't be a key's name`)
  await namingFile(directory, () => makeDirectoryDurably(directory))
  return asOnlyWriter(directory, async () => {
    let header = await readStoreHeader(directory)
    if (header?.initialized === true) return false
    const ids = await listKeyIds(directory)
    if (header === null) {
      if (ids.length > 0)
        throw new KeyStoreError(path, 'is missing, but there are keys: restore it')
      header = await newHeader(source)
      await writeStoreHeader(directory, header)
    }
    const masterKey = await openMasterKey(path, header, source)
    try {
      if (ids.length === 0) await writeNewKey(directory, keyName, masterKey)
    } finally {
      masterKey.wrapKey.fill(0)
    }
    await writeStoreHeader(directory, { ...header, initialized: true })
    return true
  })
}

/** The keys of a folder, in memory and kept up with what other processes write. */
export class LocalKeyStore {
  readonly #directory: string
  readonly #masterKey: MasterKey
  readonly #entries = new Map<string, Entry>()
  #listedAt = performance.now()
  // Checks run one after the other: an older reading never lands on top of a newer one.
  #checks: Promise<void> = Promise.resolve()

  private constructor(directory: string, masterKey: MasterKey) {
    this.#directory = directory
    this.#masterKey = masterKey
  }

  /**
   * Opens every key file. Throws {@link KeyStoreError} that names the file for a wrong master key
   * and for any file that can't be read or opened; no file is skipped.
   */
  static async open(directory: string, source: MasterKeySource): Promise<LocalKeyStore> {
    const path = storeHeaderPath(directory)
    const header = await readStoreHeader(directory)
    if (header === null) throw new KeyStoreError(path, 'is missing: this is no key store')
    const store = new LocalKeyStore(directory, await openMasterKey(path, header, source))
    try {
      await store.#openNewFiles()
      if (store.#entries.size === 0) {
        throw new KeyStoreError(directory, 'all key files are missing: restore them from a backup')
      }
      return store
    } catch (error) {
      store.zero()
      throw error
    }
  }

  /**
   * The key of this name or id, as the disk had it at most a second ago; null if there is none.
   * Throws {@link KeyStoreError} while its file is missing or damaged.
   */
  async find(nameOrId: string): Promise<StoredKey | null> {
    if (this.#lookUp(nameOrId) === undefined) await this.#checkListing()
    const entry = this.#lookUp(nameOrId)
    if (entry === undefined) return null
    await this.#check(entry, performance.now() - recheckIntervalMs)
    return storedKey(entry)
  }

  /** As {@link find}, but as the disk has it now. */
  async findLatest(nameOrId: string): Promise<StoredKey | null> {
    await this.find(nameOrId)
    const entry = this.#lookUp(nameOrId)
    if (entry === undefined) return null
    await this.#check(entry, performance.now())
    return storedKey(entry)
  }

  /** Makes a key with one version; null if the name, for which `isKeyName` holds, is taken. */
  async createKey(name: string, signal?: AbortSignal): Promise<StoredKey | null> {
    const create = async () => {
      await this.#inOrder(() => this.#openNewFiles())
      if (this.#lookUp(name) !== undefined) return false
      await writeNewKey(this.#directory, name, this.#masterKey)
      await this.#inOrder(() => this.#openNewFiles())
      return true
    }
    const created = await asOnlyWriter(this.#directory, create, { signal })
    const entry = this.#lookUp(name)
    return created && entry !== undefined ? storedKey(entry) : null
  }

  /** Appends a version; memory follows only once the disk has it. All earlier ones stay. */
  async rotate(key: StoredKey, signal?: AbortSignal): Promise<StoredKey> {
    const entry = this.#lookUp(key.id)
    if (entry === undefined) throw new KeyStoreError(this.#directory, `"${key.name}" has vanished`)
    const append = async () => {
      // Checked under the lock, so that a version appended by another process isn't overwritten,
      // and a file that has lost versions since isn't built upon.
      await this.#check(entry, performance.now())
      await writeNextVersion(this.#directory, entry.opened.record, this.#masterKey)
      await this.#check(entry, performance.now())
    }
    await asOnlyWriter(this.#directory, append, { signal })
    return storedKey(entry)
  }

  /** Overwrites all key material in memory; nothing of the store may be in use or used again. */
  zero(): void {
    for (const { opened } of this.#entries.values()) zeroAll(opened.materials)
    this.#entries.clear()
    this.#masterKey.wrapKey.fill(0)
  }

  #lookUp(nameOrId: string): Entry | undefined {
    const byId = this.#entries.get(nameOrId)
    if (byId !== undefined) return byId
    return [...this.#entries.values()].find(({ opened }) => opened.record.name === nameOrId)
  }

  async #checkListing(): Promise<void> {
    await this.#inOrder(async () => {
      if (performance.now() - this.#listedAt < recheckIntervalMs) return
      await this.#openNewFiles()
    })
  }

  async #openNewFiles(): Promise<void> {
    const startedAt = performance.now()
    for (const id of await listKeyIds(this.#directory)) {
      if (this.#entries.has(id)) continue
      const opened = await openKeyFile(this.#directory, id, this.#masterKey)
      const { name } = opened.record
      const other = this.#lookUp(name)
      if (other !== undefined) {
        zeroAll(opened.materials)
        const path = keyFilePath(this.#directory, id)
        throw new KeyStoreError(path, `"${name}" is also the name of ${other.opened.record.id}`)
      }
      this.#entries.set(id, { opened, checkedAt: startedAt })
    }
    this.#listedAt = startedAt
  }

  /** Makes sure that memory holds what the disk had at `notBefore` or later. */
  async #check(entry: Entry, notBefore: number): Promise<void> {
    if (entry.checkedAt > notBefore) return
    await this.#inOrder(async () => {
      if (entry.checkedAt > notBefore) return
      const startedAt = performance.now()
      const { id } = entry.opened.record
      const path = keyFilePath(this.#directory, id)
      if ((await readStamp(path)) !== entry.opened.stamp) {
        const opened = await openKeyFile(this.#directory, id, this.#masterKey)
        entry.opened = mergeReading(path, entry.opened, opened)
      }
      entry.checkedAt = startedAt
    })
  }

  #inOrder(check: () => Promise<void>): Promise<void> {
    const result = this.#checks.then(check)
    // The failure goes to the caller through `result`; the next check has to run all the same.
    this.#checks = result.catch(() => undefined)
    return result
  }
}

function storedKey({ opened }: Entry): StoredKey {
  const { id, name, state } = opened.record
  return { id, name, enabled: state === 'ENABLED', materials: opened.materials }
}

/**
 * The new reading over the old buffers: calls under way may hold those, so only `zero` ends them.
 * A file that has lost or changed a version is refused: an older copy of it was put back, and what
 * the newer versions have wrapped would be orphaned by building on it.
 */
function mergeReading(path: string, before: OpenedKey, after: OpenedKey): OpenedKey {
  const lost = before.materials.findIndex((material, index) => {
    const same = after.materials[index]
    return same === undefined || !isSameMaterial(material, same)
  })
  if (lost !== -1) {
    zeroAll(after.materials)
    throw new KeyStoreError(
      path,
      `version ${lost + 1} is missing or replaced: restore the newer file`,
    )
  }
  const known = before.materials.length
  zeroAll(after.materials.slice(0, known))
  return { ...after, materials: [...before.materials, ...after.materials.slice(known)] }
}

async function newHeader(source: MasterKeySource): Promise<StoreHeader> {
  const scrypt = { ...scryptCost, salt: randomBytes(scryptSaltSize) }
  const masterKey = await deriveMasterKey(source, scrypt)
  masterKey.wrapKey.fill(0)
  const { check } = masterKey
  return {
    format: storeHeaderFormat,
    created_at: new Date().toISOString(),
    initialized: false,
    master_key:
      source.kind === 'file' ? { kind: 'file', check } : { kind: 'password', scrypt, check },
  }
}

async function openMasterKey(
  path: string,
  header: StoreHeader,
  source: MasterKeySource,
): Promise<MasterKey> {
  const { kind, check } = header.master_key
  if (kind !== source.kind) {
    throw new KeyStoreError(path, `the store was made with a master key of the kind "${kind}"`)
  }
  const scrypt = header.master_key.kind === 'password' ? header.master_key.scrypt : null
  const masterKey = await deriveMasterKey(source, scrypt)
  if (isMasterKeyOf(masterKey, check)) return masterKey
  masterKey.wrapKey.fill(0)
  const name = source.kind === 'file' ? `the master key in ${source.path}` : 'the master password'
  throw new KeyStoreError(path, `${name} isn't the one that this store was made with`)
}
