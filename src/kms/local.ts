import { randomBytes } from 'node:crypto'
import type { Logger } from '../observe/logger.ts'
import { KeyStoreError } from './key-store-error.ts'
import { isKeyName } from './local-key-file.ts'
import type { StoredKey } from './local-key-store.ts'
import { initializeKeyStore, LocalKeyStore } from './local-key-store.ts'
import type { MasterKeySource } from './local-master-key.ts'
import { minimumPasswordLength } from './local-master-key.ts'
import { keySize, unwrapKey, wrapKey } from './local-wrapping.ts'
import {
  ciphertextRejected,
  connectFailed,
  keyDisabled,
  keyNotFound,
  providerClosed,
  versionGone,
} from './provider-errors.ts'
import type {
  DataKey,
  KekDescription,
  KeyContext,
  RotatableKeyProvider,
  WrappedKey,
} from './provider.ts'
import { KeyProviderError } from './provider.ts'

const provider = 'local'

/** Exactly one of `masterKeyFile` and `masterPassword` has to be there. */
export interface LocalKeyOptions {
  /** The folder of the key store, see docs/local-key-store.md. */
  readonly keyStorePath: string
  readonly masterKeyFile?: string
  readonly masterPassword?: string
  /** Made if the store is empty; otherwise it has to be there. */
  readonly keyName: string
}

/**
 * Opens the key store, or makes one in an empty folder. Throws KeyStoreError, which names the
 * file, for everything that is wrong with the folder or the master key, and NOT_FOUND if the store
 * has no key `keyName`.
 */
export async function openLocalKeyProvider(
  options: LocalKeyOptions,
  logger: Logger,
): Promise<LocalKeyProvider> {
  const { keyStorePath, keyName } = options
  const source = masterKeySource(options)
  if (await initializeKeyStore(keyStorePath, source, keyName)) {
    logger.warn({ keyStorePath, keyName }, 'made a new local key store: back it up')
  }
  const store = await LocalKeyStore.open(keyStorePath, source)
  if ((await store.find(keyName)) === null) {
    store.zero()
    throw keyNotFound({ provider, kek: keyName })
  }
  logger.warn({ keyStorePath }, 'the local key provider is not for production')
  return new LocalKeyProvider(store)
}

/** Keys in files of this machine. Rotation by other processes is noticed within a second. */
export class LocalKeyProvider implements RotatableKeyProvider {
  readonly id = provider
  readonly #store: LocalKeyStore
  readonly #underWay = new Set<Promise<unknown>>()
  #closed: Promise<void> | undefined

  /** Takes the store over: `close` zeroes it. */
  constructor(store: LocalKeyStore) {
    this.#store = store
  }

  async generateDataKey(kek: string, context: KeyContext, signal?: AbortSignal): Promise<DataKey> {
    const plaintext = randomBytes(keySize)
    try {
      return { plaintext, ...(await this.wrap(kek, plaintext, context, signal)) }
    } catch (error) {
      plaintext.fill(0)
      throw error
    }
  }

  async wrap(
    kek: string,
    plaintext: Buffer,
    { bucket }: KeyContext,
    signal?: AbortSignal,
  ): Promise<WrappedKey> {
    return this.#call(kek, signal, async () => {
      if (plaintext.length !== keySize) {
        const text = `a key to wrap has ${keySize} bytes, not ${plaintext.length}`
        throw new KeyProviderError('REJECTED', text, { provider, kek })
      }
      const { id, materials } = enabledKey(kek, await this.#store.find(kek))
      signal?.throwIfAborted()
      const version = materials.length
      const material = materials[version - 1]
      if (material === undefined) throw versionGone({ provider, kek }, String(version))
      const wrapped = wrapKey(material, plaintext, { id, version, bucket })
      return { wrapped, kekVersion: String(version) }
    })
  }

  async unwrap(
    kek: string,
    { wrapped, kekVersion }: WrappedKey,
    { bucket }: KeyContext,
    signal?: AbortSignal,
  ): Promise<Buffer> {
    return this.#call(kek, signal, async () => {
      if (!/^[1-9][0-9]{0,8}$/.test(kekVersion)) {
        throw ciphertextRejected({ provider, kek }, kekVersion)
      }
      const version = Number(kekVersion)
      const { id, materials } = await this.#keyWithVersion(kek, version)
      signal?.throwIfAborted()
      const material = materials[version - 1]
      if (material === undefined) throw versionGone({ provider, kek }, kekVersion)
      const plaintext = unwrapKey(material, wrapped, { id, version, bucket })
      if (plaintext === null) throw ciphertextRejected({ provider, kek }, kekVersion)
      return plaintext
    })
  }

  async describe(kek: string, signal?: AbortSignal): Promise<KekDescription> {
    return this.#call(kek, signal, async () => {
      const key = existingKey(kek, await this.#store.find(kek))
      signal?.throwIfAborted()
      return description(key)
    })
  }

  async rotate(kek: string, signal?: AbortSignal): Promise<KekDescription> {
    return this.#call(kek, signal, async () => {
      const key = enabledKey(kek, await this.#store.findLatest(kek))
      return description(await this.#store.rotate(key, signal))
    })
  }

  /** Makes a key in the store. Throws DENIED if the name is taken or can't be one. */
  async createKey(name: string, signal?: AbortSignal): Promise<KekDescription> {
    return this.#call(name, signal, async () => {
      if (!isKeyName(name)) throw denied(name, `"${name}" can't be a key's name`)
      const key = await this.#store.createKey(name, signal)
      if (key === null) throw denied(name, `there is a key "${name}" already`)
      return description(key)
    })
  }

  async close(): Promise<void> {
    this.#closed ??= Promise.allSettled(this.#underWay).then(() => this.#store.zero())
    return this.#closed
  }

  /** Another process may have rotated just now, so an unknown version is looked up on the disk. */
  async #keyWithVersion(kek: string, version: number): Promise<StoredKey> {
    const key = enabledKey(kek, await this.#store.find(kek))
    if (version <= key.materials.length) return key
    return enabledKey(kek, await this.#store.findLatest(kek))
  }

  /** `close` waits for what runs in here, so that no key material is zeroed while it is in use. */
  async #call<T>(
    kek: string,
    signal: AbortSignal | undefined,
    operation: () => Promise<T>,
  ): Promise<T> {
    if (this.#closed !== undefined) throw providerClosed({ provider, kek })
    signal?.throwIfAborted()
    const running = operation()
    this.#underWay.add(running)
    try {
      return await running
    } catch (error) {
      if (!(error instanceof KeyStoreError)) throw error
      throw connectFailed({ provider, kek, cause: error }, error.message)
    } finally {
      this.#underWay.delete(running)
    }
  }
}

function masterKeySource(options: LocalKeyOptions): MasterKeySource {
  const { keyStorePath, masterKeyFile, masterPassword } = options
  if (masterKeyFile !== undefined && masterPassword !== undefined) {
    throw new KeyStoreError(keyStorePath, 'has a master key file and a master password: choose one')
  }
  if (masterKeyFile !== undefined) return { kind: 'file', path: masterKeyFile }
  if (masterPassword === undefined) {
    throw new KeyStoreError(keyStorePath, 'needs a master key file or a master password')
  }
  if (masterPassword.length < minimumPasswordLength) {
    const text = `the master password has fewer than ${minimumPasswordLength} characters`
    throw new KeyStoreError(keyStorePath, text)
  }
  return { kind: 'password', password: masterPassword }
}

function denied(kek: string, reason: string): KeyProviderError {
  return new KeyProviderError('DENIED', reason, { provider, kek })
}

function existingKey(kek: string, key: StoredKey | null): StoredKey {
  if (key === null) throw keyNotFound({ provider, kek })
  return key
}

function enabledKey(kek: string, key: StoredKey | null): StoredKey {
  const existing = existingKey(kek, key)
  if (!existing.enabled) throw keyDisabled({ provider, kek })
  return existing
}

function description({ name, enabled, materials }: StoredKey): KekDescription {
  return { name, currentVersion: String(materials.length), enabled }
}
