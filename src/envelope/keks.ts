import type { KeyProvider } from '../kms/provider.ts'

/** A KEK ready for use. */
export interface Kek {
  /** Canonical key reference as it stands in envelopes. */
  readonly reference: string
  /** The key's name inside its provider. */
  readonly name: string
  readonly provider: KeyProvider
}

/** Which KEKs there are. Both methods throw KeyProviderError. */
export interface Keks {
  /** The KEK that new objects of a bucket are protected by. */
  forBucket(bucket: string): Kek
  /** The KEK that an envelope names; DENIED if it isn't on the allow list. */
  named(reference: string): Kek
}
