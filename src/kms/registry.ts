import type { KeyReference } from './key-reference.ts'
import { formatKeyReference } from './key-reference.ts'
import type { KeyProvider } from './provider.ts'
import { KeyProviderError } from './provider.ts'

/** Which key serves which bucket, and which others may still decrypt. */
export interface KeyAssignment {
  readonly defaultKey: KeyReference
  /** Exact bucket names. */
  readonly bucketKeys: ReadonlyMap<string, KeyReference>
  readonly additionalDecryptKeys: readonly KeyReference[]
}

/**
 * The open providers, and the keys that they may be asked for. An envelope is written by whoever
 * can write to the backend, so it can't make us use a key that isn't configured here.
 */
export class KeyRegistry {
  readonly #providers: ReadonlyMap<string, KeyProvider>
  readonly #assignment: KeyAssignment
  readonly #allowed: ReadonlyMap<string, KeyReference>

  /** Takes the providers over. Throws DENIED if an assigned key's provider isn't among them. */
  constructor(providers: readonly KeyProvider[], assignment: KeyAssignment) {
    this.#providers = new Map(providers.map((provider) => [provider.id, provider]))
    this.#assignment = assignment
    const keys = [
      assignment.defaultKey,
      ...assignment.bucketKeys.values(),
      ...assignment.additionalDecryptKeys,
    ]
    this.#allowed = new Map(keys.map((key) => [formatKeyReference(key), key]))
    for (const key of keys) this.provider(key)
  }

  /** The key that new objects of this bucket are written with. */
  keyForBucket(bucket: string): KeyReference {
    return this.#assignment.bucketKeys.get(bucket) ?? this.#assignment.defaultKey
  }

  /** Whether objects under this key may be decrypted: it is configured, or listed additionally. */
  isAllowed(key: KeyReference): boolean {
    return this.#allowed.has(formatKeyReference(key))
  }

  /** The provider that holds an allowed key. Throws DENIED for any other key. */
  provider(key: KeyReference): KeyProvider {
    const text = formatKeyReference(key)
    if (!this.isAllowed(key)) {
      throw denied(
        key,
        `key not allowed: ${text} is neither configured nor in additional_decrypt_keys`,
      )
    }
    const provider = this.#providers.get(key.provider)
    if (provider !== undefined) return provider
    throw denied(key, `key not allowed: ${text} belongs to a provider that is not configured`)
  }

  /** Every allowed key once, in no particular order. */
  keys(): KeyReference[] {
    return [...this.#allowed.values()]
  }

  /** Closes all providers, also if one of them fails; then throws that failure. */
  async close(): Promise<void> {
    await closeAll([...this.#providers.values()])
  }
}

/** Closes each provider; throws the first failure once all have been asked. */
export async function closeAll(providers: readonly KeyProvider[]): Promise<void> {
  const results = await Promise.allSettled(providers.map(async (provider) => provider.close()))
  for (const result of results) if (result.status === 'rejected') throw result.reason
}

function denied({ provider, kek }: KeyReference, message: string): KeyProviderError {
  return new KeyProviderError('DENIED', message, { provider, kek })
}
