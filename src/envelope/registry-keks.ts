import { formatKeyReference, parseKeyReference, type KeyReference } from '../kms/key-reference.ts'
import { KeyProviderError } from '../kms/provider.ts'
import type { KeyRegistry } from '../kms/registry.ts'
import type { Kek, Keks } from './keks.ts'

/** The configured keys, as envelopes name them. */
export class RegistryKeks implements Keks {
  readonly #registry: KeyRegistry

  constructor(registry: KeyRegistry) {
    this.#registry = registry
  }

  forBucket(bucket: string): Kek {
    return this.#kek(this.#registry.keyForBucket(bucket))
  }

  named(reference: string): Kek {
    const key = parseEnvelopeReference(reference)
    if (key) return this.#kek(key)
    const [provider = '', kek = ''] = reference.split(':', 2)
    throw new KeyProviderError('DENIED', `malformed key reference in an envelope: ${reference}`, {
      provider,
      kek,
    })
  }

  #kek(key: KeyReference): Kek {
    return {
      reference: formatKeyReference(key),
      name: key.kek,
      provider: this.#registry.provider(key),
    }
  }
}

/** Null unless the text is the canonical form, with its provider: envelopes hold no other. */
function parseEnvelopeReference(text: string): KeyReference | null {
  try {
    const key = parseKeyReference(text, 'local')
    return formatKeyReference(key) === text ? key : null
  } catch (error) {
    if (error instanceof TypeError) return null
    throw error
  }
}
