import { describe, expect, test } from 'vitest'
import type { KeyProviderId } from '../../src/kms/key-reference.ts'
import {
  formatKeyReference,
  maxKeyReferenceLength,
  parseKeyReference,
} from '../../src/kms/key-reference.ts'

const uuid = '12345678-1234-1234-1234-123456789012'
const arn = `arn:aws:kms:us-east-1:123456789012:key/${uuid}`
const ring = 'projects/my-project/locations/us-central1/keyRings/nebulaio-keyring'
const defaults = {
  azureVaultUrl: 'https://nebulaio-kv.vault.azure.net/',
  gcpKeyRing: ring,
}

describe('canonical references stay as they are', () => {
  test.for([
    ['local:nebulaio-master', 'local', 'nebulaio-master'],
    ['local:00112233445566778899aabbccddeeff', 'local', '00112233445566778899aabbccddeeff'],
    ['local:a.b_c-1', 'local', 'a.b_c-1'],
    ['vault:transit/keys/pii-key', 'vault', 'transit/keys/pii-key'],
    ['vault:team/a/transit/keys/pii.key', 'vault', 'team/a/transit/keys/pii.key'],
    ['vault:keys/keys/keys', 'vault', 'keys/keys/keys'],
    [
      'aws:arn:aws:kms:us-east-1:123456789012:key/finance-key',
      'aws',
      'arn:aws:kms:us-east-1:123456789012:key/finance-key',
    ],
    [`aws:${arn}`, 'aws', arn],
    [`aws:${arn.replace('arn:aws', 'arn:aws-cn')}`, 'aws', arn.replace('arn:aws', 'arn:aws-cn')],
    [
      'aws:arn:aws-us-gov:kms:us-gov-west-1:123456789012:alias/a/b',
      'aws',
      'arn:aws-us-gov:kms:us-gov-west-1:123456789012:alias/a/b',
    ],
    ['aws:alias/nebulaio', 'aws', 'alias/nebulaio'],
    [`aws:${uuid}`, 'aws', uuid],
    [`aws:mrk-${'0a'.repeat(16)}`, 'aws', `mrk-${'0a'.repeat(16)}`],
    [
      'azure:https://hipaa-kv.vault.azure.net/keys/hipaa-key',
      'azure',
      'https://hipaa-kv.vault.azure.net/keys/hipaa-key',
    ],
    [
      `azure:https://kv.managedhsm.azure.net:8443/keys/k/${'0a'.repeat(16)}`,
      'azure',
      `https://kv.managedhsm.azure.net:8443/keys/k/${'0a'.repeat(16)}`,
    ],
    [`gcp:${ring}/cryptoKeys/k_1`, 'gcp', `${ring}/cryptoKeys/k_1`],
    [
      `gcp:${ring}/cryptoKeys/k/cryptoKeyVersions/12`,
      'gcp',
      `${ring}/cryptoKeys/k/cryptoKeyVersions/12`,
    ],
    [
      'gcp:projects/example.com:p/locations/global/keyRings/r/cryptoKeys/k',
      'gcp',
      'projects/example.com:p/locations/global/keyRings/r/cryptoKeys/k',
    ],
  ] as const)('%s', ([text, provider, kek]) => {
    // The default provider plays no part where one is named.
    for (const defaultProvider of ['local', 'vault', 'gcp'] as const) {
      const reference = parseKeyReference(text, defaultProvider)
      expect(reference).toEqual({ provider, kek })
      expect(formatKeyReference(reference)).toBe(text)
    }
  })
})

describe('other ways to write a key give its canonical form', () => {
  test.for<[text: string, defaultProvider: KeyProviderId, canonical: string]>([
    ['nebulaio-master', 'local', 'local:nebulaio-master'],
    ['nebulaio-master', 'vault', 'vault:transit/keys/nebulaio-master'],
    ['vault:nebulaio-master', 'local', 'vault:transit/keys/nebulaio-master'],
    ['transit/keys/pii-key', 'vault', 'vault:transit/keys/pii-key'],
    [arn, 'aws', `aws:${arn}`],
    ['alias/nebulaio', 'aws', 'aws:alias/nebulaio'],
    ['hipaa-key', 'azure', 'azure:https://nebulaio-kv.vault.azure.net/keys/hipaa-key'],
    ['https://KV.vault.azure.net/keys/K', 'azure', 'azure:https://kv.vault.azure.net/keys/K'],
    [
      'azure:HTTPS://kv.vault.azure.net:443/keys/k',
      'aws',
      'azure:https://kv.vault.azure.net/keys/k',
    ],
    ['gcp-key', 'gcp', `gcp:${ring}/cryptoKeys/gcp-key`],
    ['gcp:gcp-key', 'local', `gcp:${ring}/cryptoKeys/gcp-key`],
  ])('%s with %s', ([text, defaultProvider, canonical]) => {
    const reference = parseKeyReference(text, defaultProvider, defaults)
    expect(formatKeyReference(reference)).toBe(canonical)
    expect(parseKeyReference(canonical, 'local')).toEqual(reference)
  })

  test('a Vault mount of its own', () => {
    const parse = (vaultMount: string) => parseKeyReference('k', 'vault', { vaultMount }).kek
    expect(parse('/team/transit/')).toBe('team/transit/keys/k')
    expect(() => parse('')).toThrow(TypeError)
    expect(() => parse('../sys')).toThrow(TypeError)
  })
})

describe('is refused', () => {
  test.for<[text: string, defaultProvider: KeyProviderId]>([
    ['', 'local'],
    ['local:', 'vault'],
    ['local:a/b', 'local'],
    ['local:../x', 'local'],
    ['local:-x', 'local'],
    ['local:a b', 'local'],
    ['local:a\n', 'local'],
    ['local:ü', 'local'],
    [`local:${'a'.repeat(129)}`, 'local'],
    ['local:local:x', 'local'],
    ['LOCAL:x', 'local'],
    [' local:x', 'local'],
    ['vault:', 'local'],
    ['vault:transit/pii-key', 'local'],
    ['vault:/transit/keys/k', 'local'],
    ['vault:transit/keys/', 'local'],
    ['vault:transit/keys/k/rotate', 'local'],
    ['vault:transit/keys/../../sys', 'local'],
    ['vault:../keys/k', 'local'],
    ['vault:a//b/keys/k', 'local'],
    ['vault:transit/keys/k?x=1', 'local'],
    ['vault:transit/keys/k%2e', 'local'],
    ['aws:nebulaio-master', 'local'],
    ['aws:arn:aws:s3:us-east-1:123456789012:key/k', 'local'],
    ['aws:arn:aws:kms:us-east-1:1234:key/k', 'local'],
    ['aws:arn:aws:kms:us-east-1:123456789012:key/', 'local'],
    ['aws:alias/', 'local'],
    ['aws:12345678-1234-1234-1234-12345678901', 'local'],
    ['azure:http://kv.vault.azure.net/keys/k', 'local'],
    ['azure:https://kv.vault.azure.net/secrets/k', 'local'],
    ['azure:https://kv.vault.azure.net/keys/k/', 'local'],
    ['azure:https://kv.vault.azure.net/keys/k/latest', 'local'],
    ['azure:https://user@kv.vault.azure.net/keys/k', 'local'],
    ['azure:https://kv.vault.azure.net/keys/k?x', 'local'],
    ['azure:https:///keys/k', 'local'],
    ['azure:k', 'local'],
    ['gcp:k', 'local'],
    ['gcp:projects/p/locations/l/keyRings/r/cryptoKeys/', 'local'],
    ['gcp:projects/p/locations/l/keyRings/r', 'local'],
    ['gcp:projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/0', 'local'],
    ['gcp:projects/p/../locations/l/keyRings/r/cryptoKeys/k', 'local'],
    ['gcp:projects/../locations/l/keyRings/r/cryptoKeys/k', 'local'],
    [`vault:${'a'.repeat(maxKeyReferenceLength)}`, 'local'],
    [arn, 'local'],
  ])('%s with %s', ([text, defaultProvider]) => {
    expect(() => parseKeyReference(text, defaultProvider)).toThrow(TypeError)
  })

  test('with what was expected', () => {
    expect(() => parseKeyReference('foo:bar', 'local')).toThrow(
      '"foo:bar": unknown provider "foo" (local, vault, aws, azure, gcp)',
    )
    expect(() => parseKeyReference('aws:x', 'local')).toThrow('expected <key ARN>, alias/<name>')
  })

  test('a name that is too long only once it is complete', () => {
    const name = 'k'.repeat(maxKeyReferenceLength - 10)
    expect(() => parseKeyReference(name, 'vault')).toThrow('at most 512 characters')
  })
})
