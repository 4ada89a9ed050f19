/**
 * What the wrapped key is bound to. Providers with a context of their own (AWS encryption context,
 * GCP and Vault AAD) pass it on, so that it also shows in the KMS's audit log.
 */
export interface KeyContext {
  readonly bucket: string
}

/** A 32-byte key beside its wrapped form. The caller owns `plaintext` and zeroes it after use. */
export interface DataKey {
  readonly plaintext: Buffer
  readonly wrapped: Buffer
  /** The provider's own version of the KEK that wrapped it, opaque outside the provider. */
  readonly kekVersion: string
}

export interface WrappedKey {
  readonly wrapped: Buffer
  readonly kekVersion: string
}

export interface KekDescription {
  readonly name: string
  /** The version that new keys are wrapped with. */
  readonly currentVersion: string
  readonly enabled: boolean
}

/**
 * One key management service. `kek` is the key's name inside this provider (the part of a key
 * reference behind the first colon). Implementations are safe for concurrent calls, never log key
 * material, and throw {@link KeyProviderError} only; a call that is aborted rejects with the
 * signal's reason. `close` waits for the calls under way.
 */
export interface KeyProvider {
  /** The prefix of its key references: `local`, `vault`, `aws`, `azure`, `gcp`. */
  readonly id: string
  /** A fresh random 32-byte key, wrapped by the KEK's current version. */
  generateDataKey(kek: string, context: KeyContext, signal?: AbortSignal): Promise<DataKey>
  /** Wraps a 32-byte key with the KEK's current version. */
  wrap(
    kek: string,
    plaintext: Buffer,
    context: KeyContext,
    signal?: AbortSignal,
  ): Promise<WrappedKey>
  /** Gives back the 32 bytes. Throws REJECTED if bytes, version or context are not those of wrap. */
  unwrap(
    kek: string,
    wrapped: WrappedKey,
    context: KeyContext,
    signal?: AbortSignal,
  ): Promise<Buffer>
  describe(kek: string, signal?: AbortSignal): Promise<KekDescription>
  close(): Promise<void>
}

/** Optional ability of a provider: make a new current version; old ones keep unwrapping. */
export interface RotatableKeyProvider extends KeyProvider {
  rotate(kek: string, signal?: AbortSignal): Promise<KekDescription>
}

export type KeyProviderErrorCode =
  | 'CONNECT'
  | 'AUTH'
  | 'DENIED'
  | 'NOT_FOUND'
  | 'VERSION_GONE'
  | 'DISABLED'
  | 'REJECTED'
  | 'THROTTLED'

const retryableCodes: ReadonlySet<KeyProviderErrorCode> = new Set(['CONNECT', 'THROTTLED'])

/** What a KMS said, in our words. The message never holds key material or credentials. */
export class KeyProviderError extends Error {
  override readonly name = 'KeyProviderError'
  readonly code: KeyProviderErrorCode
  readonly provider: string
  readonly kek: string

  constructor(
    code: KeyProviderErrorCode,
    message: string,
    options: { provider: string; kek: string; cause?: unknown },
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.provider = options.provider
    this.kek = options.kek
  }

  get retryable(): boolean {
    return retryableCodes.has(this.code)
  }
}
