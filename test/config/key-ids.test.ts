import { describe, expect, test } from 'vitest'
import { parseKeyReference } from '../../src/kms/key-reference.ts'
import { changed, problems } from './settings.ts'

describe('key ids', () => {
  const accepted = [
    'nebulaio-master',
    'local:nebulaio-master',
    'a',
    `local:${'k'.repeat(128)}`,
    'a.b_c-d',
  ]
  const refused: [string, RegExp][] = [
    ['', /no name/],
    ['local:', /no name/],
    ['local:a:b', /no name/],
    ['-a', /no name/],
    ['a b', /no name/],
    ['a/b', /no name/],
    ['k'.repeat(129), /no name/],
    [':a', /unknown provider ""/],
    ['Local:a', /unknown provider "Local" \(vault, aws, azure, gcp, local\)/],
    ['vault:transit/keys/pii-key', /provider "vault" is not available in this version/],
    ['aws:arn:aws:kms:us-east-1:123456789012:key/finance', /provider "aws" is not available/],
    ['azure:https://hipaa-kv.vault.azure.net/keys/hipaa', /provider "azure" is not available/],
    ['gcp:projects/p/locations/l/keyRings/r/cryptoKeys/k', /provider "gcp" is not available/],
  ]
  const places: [string, (id: string) => unknown][] = [
    ['encryption.default_key_id', (id) => id],
    ['encryption.bucket_keys', (key_id) => [{ bucket: 'abc', key_id }]],
    ['encryption.additional_decrypt_keys', (id) => [id]],
  ]

  test.each(places)('%s', (path, value) => {
    for (const id of accepted) expect(problems(changed(path, value(id)))).toEqual([])
    for (const [id, message] of refused) {
      expect(problems(changed(path, value(id)))).toEqual([expect.stringMatching(message)])
    }
  })

  test('that are accepted here are accepted by the key providers', () => {
    for (const id of accepted) expect(parseKeyReference(id, 'local').provider).toBe('local')
  })
})
