import { expect } from 'vitest'
import type { KeyProvider, KeyProviderErrorCode } from '../../src/kms/provider.ts'

/** A provider under test, with a fresh enabled key. What a service can't do is left out. */
export interface ConformanceSubject {
  readonly provider: KeyProvider
  readonly kek: string
  /** A well-formed key name that the service doesn't have. */
  readonly missingKek: string
  /** A well-formed `kekVersion` that the key doesn't have. */
  readonly missingVersion?: string
  /** Another provider object over the same keys, as after a restart; the suite closes it. */
  readonly reopen: () => Promise<KeyProvider>
  /** Makes a new current version, by the provider or behind its back. */
  readonly rotate?: () => Promise<void>
  readonly disable?: () => Promise<void>
  /** Closes what `setup` opened; the provider may be closed already. */
  readonly cleanUp: () => Promise<void>
}

/** The context that keys are wrapped for. */
export const here = { bucket: 'pii-data' }

/** What a failure looks like that the provider reported itself. */
export function failure(code: KeyProviderErrorCode, text: string): object {
  return { name: 'KeyProviderError', code, message: expect.stringContaining(text) }
}
