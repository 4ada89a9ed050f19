import { KeyProviderError } from './provider.ts'

/** Whose failure it is: the provider's id and the key's name inside it. */
export interface FailedKey {
  readonly provider: string
  readonly kek: string
  readonly cause?: unknown
}

/** NOT_FOUND in the words that operators look for. */
export function keyNotFound(key: FailedKey): KeyProviderError {
  return new KeyProviderError('NOT_FOUND', `key not found: ${key.kek}`, key)
}

/** VERSION_GONE: the key is there, the version that wrapped isn't (any more). */
export function versionGone(key: FailedKey, version: string): KeyProviderError {
  const text = `decryption failed: key version not available (key ${key.kek}, version ${version})`
  return new KeyProviderError('VERSION_GONE', text, key)
}

/** REJECTED: tampered bytes, or a context or version that isn't the one of the wrap. */
export function ciphertextRejected(key: FailedKey, version: string): KeyProviderError {
  const text = `decryption failed: ciphertext rejected (key ${key.kek}, version ${version})`
  return new KeyProviderError('REJECTED', text, key)
}

/** DISABLED: neither wraps nor unwraps until an operator enables it again. */
export function keyDisabled(key: FailedKey): KeyProviderError {
  return new KeyProviderError('DISABLED', `key is disabled: ${key.kek}`, key)
}

/** CONNECT, with `reason` as what stood in the way. */
export function connectFailed(key: FailedKey, reason: string): KeyProviderError {
  return new KeyProviderError('CONNECT', `failed to connect to KMS provider: ${reason}`, key)
}

/** CONNECT, for calls that come after `close`. */
export function providerClosed(key: FailedKey): KeyProviderError {
  return new KeyProviderError('CONNECT', 'provider is closed', key)
}
