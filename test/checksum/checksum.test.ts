import fc from 'fast-check'
import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import {
  checksumAlgorithms,
  checksumSizes,
  createChecksum,
  createCryptoHash,
  type ChecksumAlgorithm,
} from '../../src/checksum/checksum.ts'

const numRuns = process.env['SLOW'] ? 5000 : 200

function digestOf(algorithm: ChecksumAlgorithm, ...pieces: readonly Buffer[]): string {
  const checksum = createChecksum(algorithm)
  for (const piece of pieces) checksum.update(piece)
  return checksum.digest().toString('hex')
}

const ascending = Buffer.from(Array.from({ length: 32 }, (_, i) => i))

// The catalogue of parametrised CRC algorithms, RFC 3720 B.4 and FIPS 180.
const published: readonly (readonly [ChecksumAlgorithm, string, Buffer, string])[] = [
  ['CRC32', 'check', Buffer.from('123456789'), 'cbf43926'],
  ['CRC32', 'nothing', Buffer.alloc(0), '00000000'],
  ['CRC32C', 'check', Buffer.from('123456789'), 'e3069283'],
  ['CRC32C', 'nothing', Buffer.alloc(0), '00000000'],
  ['CRC32C', '32 zeros', Buffer.alloc(32), '8a9136aa'],
  ['CRC32C', '32 ones', Buffer.alloc(32, 0xff), '62a8ab43'],
  ['CRC32C', '32 ascending bytes', ascending, '46dd794e'],
  ['CRC32C', '32 descending bytes', Buffer.from(ascending.toReversed()), '113fdb5c'],
  ['CRC64NVME', 'check', Buffer.from('123456789'), 'ae8b14860a799888'],
  ['CRC64NVME', 'nothing', Buffer.alloc(0), '0000000000000000'],
  ['CRC64NVME', '4 KiB of zeros', Buffer.alloc(4096), '6482d367eb22b64e'],
  ['CRC64NVME', '4 KiB of ones', Buffer.alloc(4096, 0xff), 'c0ddba7302eca3ac'],
  ['SHA1', 'abc', Buffer.from('abc'), 'a9993e364706816aba3e25717850c26c9cd0d89d'],
  [
    'SHA256',
    'abc',
    Buffer.from('abc'),
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  ],
]

test.each(published)('%s of %s is as published', (algorithm, _, input, expected) => {
  expect(digestOf(algorithm, input)).toBe(expected)
})

test.each(checksumAlgorithms)('a %s digest has its stated size', (algorithm) => {
  expect(createChecksum(algorithm).digest()).toHaveLength(checksumSizes[algorithm])
})

test('an MD5 is as published in RFC 1321', () => {
  const hash = createCryptoHash('md5')
  hash.update(Buffer.from('message '))
  hash.update(Buffer.from('digest'))
  expect(hash.digest().toString('hex')).toBe('f96b697d7cb7938d525a2f31aaf161d0')
})

/** One bit after the other, in the reflected form of the polynomial. */
function naiveCrc(bytes: Buffer, polynomial: bigint, bits: number): string {
  const ones = (1n << BigInt(bits)) - 1n
  let crc = ones
  for (const byte of bytes) {
    crc ^= BigInt(byte)
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1n ? (crc >> 1n) ^ polynomial : crc >> 1n
  }
  return (crc ^ ones).toString(16).padStart(bits / 4, '0')
}

const naive: Readonly<Record<ChecksumAlgorithm, (bytes: Buffer) => string>> = {
  CRC32: (bytes) => naiveCrc(bytes, 0xedb88320n, 32),
  CRC32C: (bytes) => naiveCrc(bytes, 0x82f63b78n, 32),
  CRC64NVME: (bytes) => naiveCrc(bytes, 0x9a6c9329ac4bc9b5n, 64),
  SHA1: (bytes) => createHash('sha1').update(bytes).digest('hex'),
  SHA256: (bytes) => createHash('sha256').update(bytes).digest('hex'),
}

describe.each(checksumAlgorithms)('%s', (algorithm) => {
  test('agrees with the naive way, however the input is cut', () => {
    const pieces = fc.array(
      fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
      {
        maxLength: 6,
      },
    )
    fc.assert(
      fc.property(pieces, (input) => {
        expect(digestOf(algorithm, ...input)).toBe(naive[algorithm](Buffer.concat(input)))
      }),
      { numRuns },
    )
  })

  test('is the same whichever the position of the only cut', () => {
    const input = Buffer.from(Array.from({ length: 67 }, (_, i) => (i * 151 + 7) & 0xff))
    const whole = digestOf(algorithm, input)
    for (let at = 0; at <= input.length; at += 1) {
      expect(digestOf(algorithm, input.subarray(0, at), input.subarray(at)), `cut at ${at}`).toBe(
        whole,
      )
    }
  })

  test('is the same for single bytes', () => {
    const input = Buffer.from(Array.from({ length: 67 }, (_, i) => (i * 89 + 201) & 0xff))
    const bytes = Array.from(input, (byte) => Buffer.from([byte]))
    expect(digestOf(algorithm, ...bytes)).toBe(digestOf(algorithm, input))
  })

  test('changes with each bit', () => {
    const input = Buffer.from('every single bit of these bytes')
    const whole = digestOf(algorithm, input)
    for (let bit = 0; bit < input.length * 8; bit += 1) {
      const flipped = Buffer.from(input)
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(digestOf(algorithm, flipped), `bit ${bit}`).not.toBe(whole)
    }
  })

  test('leaves its input as it is and reads nothing around it', () => {
    const around = Buffer.from('<<the input>>')
    const input = around.subarray(2, 11)
    expect(digestOf(algorithm, input)).toBe(naive[algorithm](Buffer.from('the input')))
    expect(around.toString()).toBe('<<the input>>')
  })

  test('instances do not share state', () => {
    const [one, other] = [createChecksum(algorithm), createChecksum(algorithm)]
    one.update(Buffer.from('a'))
    other.update(Buffer.from('x'))
    one.update(Buffer.from('b'))
    expect(one.digest().toString('hex')).toBe(naive[algorithm](Buffer.from('ab')))
    expect(other.digest().toString('hex')).toBe(naive[algorithm](Buffer.from('x')))
  })
})
