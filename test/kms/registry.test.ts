import { describe, expect, test } from 'vitest'
import type { KeyReference } from '../../src/kms/key-reference.ts'
import type { KeyProvider } from '../../src/kms/provider.ts'
import type { KeyProvidersOptions } from '../../src/kms/providers.ts'
import { loadKeyProviders } from '../../src/kms/providers.ts'
import { KeyRegistry } from '../../src/kms/registry.ts'
import { ProviderDouble } from './provider-double.ts'

const local = (kek: string) => ({ provider: 'local', kek }) as const
const vault = (kek: string) => ({ provider: 'vault', kek: `transit/keys/${kek}` }) as const

function registry(providers: readonly KeyProvider[]) {
  return new KeyRegistry(providers, {
    defaultKey: local('master'),
    bucketKeys: new Map<string, KeyReference>([
      ['pii-data', vault('pii')],
      ['logs', local('master')],
    ]),
    additionalDecryptKeys: [local('old')],
  })
}

describe('a registry', () => {
  const providers = [new ProviderDouble('local'), new ProviderDouble('vault')]
  const keys = registry(providers)

  test.for([
    ['pii-data', vault('pii')],
    ['logs', local('master')],
    ['pii-data2', local('master')],
    ['PII-DATA', local('master')],
    ['', local('master')],
    ['constructor', local('master')],
  ] as const)('gives bucket "%s" its key', ([bucket, key]) => {
    expect(keys.keyForBucket(bucket)).toEqual(key)
  })

  test('lets configured and additional keys decrypt', () => {
    for (const key of [local('master'), local('old')]) expect(keys.provider(key)).toBe(providers[0])
    expect(keys.provider(vault('pii'))).toBe(providers[1])
    expect(keys.keys()).toEqual([local('master'), vault('pii'), local('old')])
  })

  test.for([
    local('foreign'),
    local('pii'),
    local('Master'),
    vault('master'),
    { provider: 'vault', kek: 'other/keys/pii' },
    { provider: 'aws', kek: 'alias/master' },
  ] as const)('denies %o', (key) => {
    expect(keys.isAllowed(key)).toBe(false)
    expect(() => keys.provider(key)).toThrow(
      expect.objectContaining({
        name: 'KeyProviderError',
        code: 'DENIED',
        message: expect.stringContaining(`key not allowed: ${key.provider}:${key.kek}`),
      }),
    )
  })

  test('is not made with a key whose provider is not configured', () => {
    expect(() => registry([new ProviderDouble('local')])).toThrow(
      'vault:transit/keys/pii belongs to a provider that is not configured',
    )
  })

  test('closes every provider even if one fails', async () => {
    class FailsToClose extends ProviderDouble {
      override async close() {
        await super.close()
        throw new Error('stuck')
      }
    }
    const providers = [new FailsToClose('local'), new ProviderDouble('vault')]
    await expect(registry(providers).close()).rejects.toThrow('stuck')
    expect(providers.map(({ closed }) => closed)).toEqual([1, 1])
  })
})

describe('loading', () => {
  function options(changes: Partial<KeyProvidersOptions> = {}) {
    const opened: ProviderDouble[] = []
    const open = (id: string) => async () => {
      const provider = new ProviderDouble(id)
      opened.push(provider)
      return provider
    }
    const value: KeyProvidersOptions = {
      defaultProvider: 'vault',
      open: { local: open('local'), vault: open('vault') },
      defaultKey: 'nebulaio-master',
      bucketKeys: [{ bucket: 'pii-data', key: 'local:pii-key' }],
      additionalDecryptKeys: ['vault:old/keys/old'],
      referenceDefaults: { vaultMount: 'kv/transit' },
      ...changes,
    }
    return { value, opened }
  }

  test('completes bare names and opens each provider once', async () => {
    const { value, opened } = options()
    const keys = await loadKeyProviders(value)
    expect(keys.keyForBucket('x')).toEqual({
      provider: 'vault',
      kek: 'kv/transit/keys/nebulaio-master',
    })
    expect(keys.keyForBucket('pii-data')).toEqual(local('pii-key'))
    expect(keys.isAllowed({ provider: 'vault', kek: 'old/keys/old' })).toBe(true)
    expect(opened.map(({ id }) => id)).toEqual(['local', 'vault'])
    await keys.close()
    expect(opened.map(({ closed }) => closed)).toEqual([1, 1])
  })

  test.for<[string, Partial<KeyProvidersOptions>, string]>([
    ['a default key', { defaultKey: 'aws:x' }, 'is no key of aws'],
    ['a bucket key', { bucketKeys: [{ bucket: 'b', key: 'x:y' }] }, 'unknown provider "x"'],
    ['an additional key', { additionalDecryptKeys: [''] }, 'is no key of vault'],
    [
      'a bucket twice',
      {
        bucketKeys: [
          { bucket: 'b', key: 'k' },
          { bucket: 'b', key: 'k' },
        ],
      },
      'bucket "b" has two keys',
    ],
  ])('refuses %s before it opens anything', async ([, changes, text]) => {
    const { value, opened } = options(changes)
    await expect(loadKeyProviders(value)).rejects.toThrow(text)
    expect(opened).toEqual([])
  })

  test('leaves nothing open when a key has no provider', async () => {
    const { value, opened } = options({ additionalDecryptKeys: ['aws:alias/x'] })
    await expect(loadKeyProviders(value)).rejects.toMatchObject({ code: 'DENIED' })
    expect(opened.map(({ closed }) => closed)).toEqual([1, 1])
  })

  test('leaves nothing open when a provider does not open', async () => {
    const { value, opened } = options()
    const vault = () => Promise.reject(new Error('sealed'))
    const loading = loadKeyProviders({ ...value, open: { ...value.open, vault } })
    await expect(loading).rejects.toThrow('sealed')
    expect(opened.map(({ id, closed }) => [id, closed])).toEqual([['local', 1]])
  })
})
