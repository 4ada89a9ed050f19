/** The providers, as key references name them. */
export const keyProviderIds = ['local', 'vault', 'aws', 'azure', 'gcp'] as const

export type KeyProviderId = (typeof keyProviderIds)[number]

/** One KEK, anywhere. `kek` is its full name inside the provider. */
export interface KeyReference {
  readonly provider: KeyProviderId
  readonly kek: string
}

/** What completes a bare key name, from the provider's block of the configuration. */
export interface KeyReferenceDefaults {
  /** The mount path of Vault's transit engine; `transit` if absent. */
  readonly vaultMount?: string
  /** `https://<vault>.vault.azure.net`. */
  readonly azureVaultUrl?: string
  /** `projects/<p>/locations/<l>/keyRings/<r>`. */
  readonly gcpKeyRing?: string
}

/** The longest text of a reference: it has to fit into an object's metadata. */
export const maxKeyReferenceLength = 512

const segment = '[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_-])?'
const azureName = '[A-Za-z0-9-]{1,127}'
const gcpName = '[A-Za-z0-9_-]{1,63}'
const uuid = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'
const gcpKeyRing = `projects/[a-z][a-z0-9:.-]*/locations/[a-z0-9-]+/keyRings/${gcpName}`

interface Grammar {
  readonly full: RegExp
  readonly expected: string
  /** The canonical full form of a bare name; null if the text isn't one or can't be completed. */
  complete(text: string, defaults: KeyReferenceDefaults): string | null
}

const grammars: Record<KeyProviderId, Grammar> = {
  local: {
    full: /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/,
    expected: '<name>',
    complete: () => null,
  },
  vault: {
    full: new RegExp(`^${segment}(?:/${segment})*/keys/${segment}$`),
    expected: '<mount>/keys/<name>',
    complete: (text, { vaultMount = 'transit' }) => `${trimSlashes(vaultMount)}/keys/${text}`,
  },
  aws: {
    full: new RegExp(
      `^(?:arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(?:key/[A-Za-z0-9-]+|alias/[A-Za-z0-9/_-]+)` +
        `|alias/[A-Za-z0-9/_-]+|${uuid}|mrk-[0-9a-f]{32})$`,
    ),
    expected: '<key ARN>, alias/<name> or <key UUID>',
    complete: () => null,
  },
  azure: {
    full: new RegExp(
      `^https://[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?/keys/${azureName}(?:/[0-9a-f]{32})?$`,
    ),
    expected: 'https://<vault>/keys/<name>[/<version>]',
    complete: (text, { azureVaultUrl }) => {
      if (azureVaultUrl === undefined) return null
      return lowerHost(`${trimSlashes(azureVaultUrl)}/keys/${text}`)
    },
  },
  gcp: {
    full: new RegExp(`^${gcpKeyRing}/cryptoKeys/${gcpName}(?:/cryptoKeyVersions/[1-9][0-9]*)?$`),
    expected: 'projects/<p>/locations/<l>/keyRings/<r>/cryptoKeys/<k>[/cryptoKeyVersions/<n>]',
    complete: (text, { gcpKeyRing: ring }) => {
      return ring === undefined ? null : `${trimSlashes(ring)}/cryptoKeys/${text}`
    },
  },
}

/**
 * Reads `<provider>:<kek>`, where only the first colon splits, or a `kek` of the default provider.
 * A bare name is completed, so that one key has one canonical form whichever way it was written.
 * Throws TypeError, which says what was expected.
 */
export function parseKeyReference(
  text: string,
  defaultProvider: KeyProviderId,
  defaults: KeyReferenceDefaults = {},
): KeyReference {
  if (text.length > maxKeyReferenceLength) {
    throw new TypeError(`a key reference has at most ${maxKeyReferenceLength} characters`)
  }
  const colon = text.indexOf(':')
  const prefix = colon === -1 ? null : text.slice(0, colon)
  const named = keyProviderIds.find((id) => id === prefix)
  const provider = named ?? defaultProvider
  const kek = canonicalKek(provider, named === undefined ? text : text.slice(colon + 1), defaults)
  if (kek !== null) {
    const reference = { provider, kek }
    if (formatKeyReference(reference).length <= maxKeyReferenceLength) return reference
    throw new TypeError(`a key reference has at most ${maxKeyReferenceLength} characters`)
  }
  if (named === undefined && prefix !== null) {
    throw new TypeError(`"${text}": unknown provider "${prefix}" (${keyProviderIds.join(', ')})`)
  }
  throw new TypeError(`"${text}" is no key of ${provider}: expected ${grammars[provider].expected}`)
}

/** The canonical text, which goes into envelopes: `local:nebulaio-master`. */
export function formatKeyReference({ provider, kek }: KeyReference): string {
  return `${provider}:${kek}`
}

function canonicalKek(
  provider: KeyProviderId,
  text: string,
  defaults: KeyReferenceDefaults,
): string | null {
  const grammar = grammars[provider]
  const given = provider === 'azure' ? lowerHost(text) : text
  if (grammar.full.test(given)) return given
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(text)) return null
  const completed = grammar.complete(text, defaults)
  return completed !== null && grammar.full.test(completed) ? completed : null
}

function lowerHost(url: string): string {
  return url.replace(/^https:\/\/[^/]*/i, (origin) => origin.toLowerCase().replace(/:443$/, ''))
}

function trimSlashes(text: string): string {
  return text.replace(/^\/+|\/+$/g, '')
}
