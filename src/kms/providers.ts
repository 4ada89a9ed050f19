import type { KeyProviderId, KeyReference, KeyReferenceDefaults } from './key-reference.ts'
import { keyProviderIds, parseKeyReference } from './key-reference.ts'
import type { KeyProvider } from './provider.ts'
import { closeAll, KeyRegistry } from './registry.ts'

/** What the configuration says about keys, in plain values. */
export interface KeyProvidersOptions {
  readonly defaultProvider: KeyProviderId
  /** Opens each configured provider; a vendor's SDK is loaded in here. */
  readonly open: Readonly<Partial<Record<KeyProviderId, () => Promise<KeyProvider>>>>
  /** A key reference, or a bare name of the default provider; so are all others. */
  readonly defaultKey: string
  readonly bucketKeys: readonly { readonly bucket: string; readonly key: string }[]
  readonly additionalDecryptKeys: readonly string[]
  readonly referenceDefaults: KeyReferenceDefaults
}

/**
 * Opens every configured provider. Throws TypeError for a reference that can't be read or a bucket
 * named twice, DENIED for a key whose provider isn't configured, and what opening throws; then
 * none is left open.
 */
export async function loadKeyProviders(options: KeyProvidersOptions): Promise<KeyRegistry> {
  const { defaultProvider, referenceDefaults } = options
  const parse = (text: string) => parseKeyReference(text, defaultProvider, referenceDefaults)
  const assignment = {
    defaultKey: parse(options.defaultKey),
    bucketKeys: bucketKeys(options.bucketKeys, parse),
    additionalDecryptKeys: options.additionalDecryptKeys.map(parse),
  }
  const providers: KeyProvider[] = []
  try {
    for (const id of keyProviderIds) {
      const provider = await options.open[id]?.()
      if (provider !== undefined) providers.push(provider)
    }
    return new KeyRegistry(providers, assignment)
  } catch (error) {
    await closeAll(providers).catch((closeError: unknown) => {
      const text = 'key providers neither opened nor closed'
      throw new AggregateError([error, closeError], text, { cause: error })
    })
    throw error
  }
}

function bucketKeys(
  entries: KeyProvidersOptions['bucketKeys'],
  parse: (text: string) => KeyReference,
): Map<string, KeyReference> {
  const keys = new Map<string, KeyReference>()
  for (const { bucket, key } of entries) {
    if (keys.has(bucket)) throw new TypeError(`bucket "${bucket}" has two keys`)
    keys.set(bucket, parse(key))
  }
  return keys
}
