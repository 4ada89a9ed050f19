import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  envelopeHeader,
  marshalEnvelope,
  parseEnvelope,
  readEnvelope,
  type Envelope,
} from '../../src/envelope/envelope.ts'
import { FormatError } from '../../src/stream/errors.ts'

const envelope: Envelope = {
  layout: 'single',
  kek: 'local:nebulaio-master',
  kekVersion: '1',
  wrappedIk: randomBytes(73),
  sealedDek: randomBytes(104),
}
const text = marshalEnvelope(envelope)

describe('envelope', () => {
  test('is parsed back as it was marshalled', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('empty', 'single', 'multipart'),
        fc.constantFrom(
          'local:a',
          'vault:transit/keys/pii-key',
          'aws:arn:aws:kms:us-east-1:123456789012:key/finance-key',
          'azure:https://hipaa-kv.vault.azure.net/keys/hipaa-key',
          'gcp:projects/P/locations/L/keyRings/R/cryptoKeys/K',
        ),
        fc.uint8Array({ minLength: 1, maxLength: 1024 }),
        (layout, kek, ik) => {
          const value = { ...envelope, layout, kek, wrappedIk: Buffer.from(ik) }
          expect(parseEnvelope(marshalEnvelope(value))).toEqual(value)
        },
      ),
    )
  })

  test('with an RSA-4096 key stays below 1 KiB', () => {
    const value = {
      ...envelope,
      layout: 'multipart' as const,
      kek: 'azure:https://hipaa-kv.vault.azure.net/keys/hipaa-key',
      kekVersion: 'f'.repeat(32),
      wrappedIk: randomBytes(512),
    }
    expect((envelopeHeader + marshalEnvelope(value)).length).toBeLessThan(1024)
  })

  test.each([
    ['nothing', ''],
    ['another version', text.replace('v=1', 'v=2')],
    ['no version', text.replace('v=1;', '')],
    ['an unknown layout', text.replace('single', 'double')],
    ['a reordered field', text.replace(/(kek=[^;]+);(kek-version=[^;]+)/, '$2;$1')],
    ['a repeated field', text.replace('kek-version=1', 'kek-version=1;kek-version=1')],
    ['an unknown field', `${text};x=1`],
    ['a missing field', text.replace(/;dek=.*$/, '')],
    ['a trailing semicolon', `${text};`],
    ['a space', text.replace(';kek', '; kek')],
    ['upper case names', text.replace('kek=', 'KEK=')],
    ['padding', text.replace(/;dek=/, '=;dek=')],
    ['a character outside base64url', text.replace(/ik=../, 'ik=+/')],
    ['an empty ik', text.replace(/ik=[^;]+/, 'ik=')],
    ['a dek of 103 bytes', text.replace(/dek=.*/, `dek=${randomBytes(103).toString('base64url')}`)],
    [
      'an ik of 1,025 bytes',
      text.replace(/ik=[^;]+/, `ik=${randomBytes(1025).toString('base64url')}`),
    ],
    ['a key reference without provider', text.replace('local:', '')],
    ['a key reference with a space', text.replace('nebulaio-master', 'nebulaio master')],
    ['an empty key version', text.replace('kek-version=1', 'kek-version=')],
    ['a too long text', text.replace('nebulaio-master', 'x'.repeat(2000))],
  ])('with %s is refused', (_, bad) => {
    expect(() => parseEnvelope(bad)).toThrow(FormatError)
  })

  test('a base64url text with stray bits is refused', () => {
    const wrappedIk = Buffer.of(0)
    const canonical = marshalEnvelope({ ...envelope, wrappedIk })
    expect(parseEnvelope(canonical).wrappedIk).toEqual(wrappedIk)
    expect(() => parseEnvelope(canonical.replace(';ik=AA', ';ik=AB'))).toThrow(FormatError)
  })
})

describe('envelope among headers', () => {
  test('is found', () => {
    expect(readEnvelope(new Map([[envelopeHeader, text]]))).toEqual(envelope)
  })

  test('is null where no reserved name is', () => {
    expect(readEnvelope(new Map([['x-amz-meta-nebulaio', 'x']]))).toBeNull()
  })

  test.each([
    ['empty', new Map([[envelopeHeader, '']])],
    ['of another name', new Map([['x-amz-meta-nebulaio-envelope2', text]])],
    [
      'beside an unknown reserved name',
      new Map([
        [envelopeHeader, text],
        ['x-amz-meta-nebulaio-x', '1'],
      ]),
    ],
    ['twice', new Map([[envelopeHeader, `${text},${text}`]])],
  ])('%s is refused', (_, headers) => {
    expect(() => readEnvelope(headers)).toThrow(FormatError)
  })
})
