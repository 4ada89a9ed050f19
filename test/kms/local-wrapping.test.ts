import { randomBytes } from 'node:crypto'
import { assert, integer, property, record, string } from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  expand,
  lengthPrefixed,
  unwrapKey,
  unwrapMaterial,
  wrapKey,
  wrapMaterial,
} from '../../src/kms/local-wrapping.ts'

// Made by a Python script from docs/local-key-store.md, with hashlib and cryptography.
const vector = {
  root: '4813494d137e1631bba301d5acab6e7bb7aa74ce1185d456565ef51d737677b2',
  masterWrapKey: 'c9c3b3aaabb04e5f044a14c8ea8e84e204deac66b0768b35f933872506df3527',
  material: '40b30b4e8f0d137056ac497e859ea198c1a00db4267d1ade9c458d04024e2981',
  wrappedMaterial:
    'eDd7UldXtJRCf4kB0e7zWJK/RXgrRDdzLo7aWRLey4Nmq7mODKApqpggsI3Dz8jCO0J7BTOw4xiqhG+R',
  key: '94e6f02a5aca51e44a2c057e9c0f3ced80814c198de8a84b4f5cab7e06ea2094',
  wrappedKey:
    'AWNHmtaaCQslgnfsj7pvmUGaL/skiYFRBvdOG4kuMJcTBRrKhFxU/dKrAgo7hmqa+wET0eAh8QqkPH5U6dujdckf3N+k' +
    'EiMiyQ==',
}
const id = '00112233445566778899aabbccddeeff'
const versionIdentity = { id, name: 'nebulaio-master', version: 12 }
const wrapIdentity = { id, version: 12, bucket: 'pii-data' }
const hex = (text: string) => Buffer.from(text, 'hex')
const base64 = (text: string) => Buffer.from(text, 'base64')

describe('vectors of another implementation', () => {
  test('the master wrap key', () => {
    const key = expand(hex(vector.root), Buffer.from('nebulaio/local/master-wrap\0'))
    expect(key.toString('hex')).toBe(vector.masterWrapKey)
  })

  test('the material of a version', () => {
    const wrapped = base64(vector.wrappedMaterial)
    const material = unwrapMaterial(hex(vector.masterWrapKey), wrapped, versionIdentity)
    expect(material?.toString('hex')).toBe(vector.material)
  })

  test('a wrapped key', () => {
    const key = unwrapKey(hex(vector.material), base64(vector.wrappedKey), wrapIdentity)
    expect(key?.toString('hex')).toBe(vector.key)
  })
})

describe('material under the master key', () => {
  const masterWrapKey = hex(vector.masterWrapKey)
  const wrapped = base64(vector.wrappedMaterial)

  test.for([
    ['id', { ...versionIdentity, id: '00112233445566778899aabbccddeefe' }],
    ['name', { ...versionIdentity, name: 'nebulaio-maste' }],
    ['version', { ...versionIdentity, version: 1 }],
    ['split of id and name', { ...versionIdentity, id: `${id}n`, name: 'ebulaio-master' }],
  ] as const)('opens under no other %s', ([, identity]) => {
    expect(unwrapMaterial(masterWrapKey, wrapped, identity)).toBeNull()
  })

  test('opens under no other master key', () => {
    expect(unwrapMaterial(randomBytes(32), wrapped, versionIdentity)).toBeNull()
  })

  test.for([0, 1, 27, 28, 59, 61])('refuses %i bytes', (size) => {
    const bytes = Buffer.concat([wrapped, Buffer.alloc(1)]).subarray(0, size)
    expect(unwrapMaterial(masterWrapKey, bytes, versionIdentity)).toBeNull()
  })

  test('refuses a change of any bit', () => {
    for (let bit = 0; bit < wrapped.length * 8; bit += 1) {
      const tampered = Buffer.from(wrapped)
      tampered.writeUInt8(tampered.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
      expect(unwrapMaterial(masterWrapKey, tampered, versionIdentity)).toBeNull()
    }
  })

  test('is another ciphertext each time', () => {
    const material = randomBytes(32)
    const first = wrapMaterial(masterWrapKey, material, versionIdentity)
    const second = wrapMaterial(masterWrapKey, material, versionIdentity)
    expect(first).toHaveLength(60)
    expect(first.subarray(0, 12).equals(second.subarray(0, 12))).toBe(false)
    expect(unwrapMaterial(masterWrapKey, first, versionIdentity)).toEqual(material)
  })
})

describe('a key under a version', () => {
  test('has its own salt each time', () => {
    const material = randomBytes(32)
    const key = randomBytes(32)
    const first = wrapKey(material, key, wrapIdentity)
    const second = wrapKey(material, key, wrapIdentity)
    expect(first).toHaveLength(73)
    expect(first.subarray(1, 25).equals(second.subarray(1, 25))).toBe(false)
    expect(first.subarray(25).equals(second.subarray(25))).toBe(false)
  })

  test('opens only under the identity that it was wrapped for', () => {
    const material = randomBytes(32)
    const key = randomBytes(32)
    const field = string({ unit: 'binary', maxLength: 12 })
    const identities = record({ id: field, version: integer({ min: 1 }), bucket: field })
    const numRuns = process.env['SLOW'] === '1' ? 10_000 : 200
    assert(
      property(identities, identities, (identity, other) => {
        const wrapped = wrapKey(material, key, identity)
        const same =
          identity.id === other.id &&
          identity.version === other.version &&
          identity.bucket === other.bucket
        expect(unwrapKey(material, wrapped, identity)).toEqual(key)
        expect(unwrapKey(material, wrapped, other) !== null).toBe(same)
      }),
      { numRuns },
    )
  })

  test.for([0, 2, 0xff])('refuses the format byte %i', (format) => {
    const wrapped = base64(vector.wrappedKey)
    wrapped[0] = format
    expect(unwrapKey(hex(vector.material), wrapped, wrapIdentity)).toBeNull()
  })
})

test('a prefixed list tells its fields apart', () => {
  expect(lengthPrefixed('ab', '', 'ü').toString('hex')).toBe('0000000261620000000000000002c3bc')
  expect(lengthPrefixed('a', 'bc')).not.toEqual(lengthPrefixed('ab', 'c'))
  expect(lengthPrefixed('a', '')).not.toEqual(lengthPrefixed('a'))
})
