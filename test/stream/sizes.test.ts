import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  hasOwnEndRecord,
  isInZone,
  maxObjectPlainSize,
  maxSinglePlainSize,
  objectPlainSize,
  objectStoredSize,
  partPlainSize,
  partStoredSize,
} from '../../src/stream/sizes.ts'

const plainSizes = fc.oneof(
  fc.nat(300_000),
  fc.nat(5 * 1024 ** 4),
  fc.nat(1000).map((k) => k * 65_536),
)

describe('sizes', () => {
  test.each([
    [0, 0, 0],
    [1, 33, 129],
    [65_535, 65_567, 65_663],
    [65_536, 65_568, 65_664],
    [65_537, 65_601, 65_697],
    [5_242_880, 5_245_440, 5_245_536],
  ])('%i plaintext bytes are %i in a part and %i in an object', (plain, part, object) => {
    expect(partStoredSize(plain)).toBe(part)
    expect(objectStoredSize(plain)).toBe(object)
  })

  test('the inverses give the size back', () => {
    fc.assert(
      fc.property(plainSizes, (size) => {
        expect(partPlainSize(partStoredSize(size))).toBe(size)
        expect(objectPlainSize(objectStoredSize(size))).toBe(size)
      }),
    )
  })

  test('a size outside the image has no inverse', () => {
    fc.assert(
      fc.property(fc.integer({ min: -10, max: 400_000 }), (stored) => {
        const plain = partPlainSize(stored)
        const rest = stored % 65_568
        expect(plain !== null).toBe(stored >= 0 && (rest === 0 || rest > 32))
        expect(partStoredSize(plain ?? 0)).toBe(plain === null ? 0 : stored)
      }),
    )
    for (const stored of [1, 95, 97, 128, 65_568 + 96 + 1]) {
      expect(objectPlainSize(stored)).toBeNull()
    }
  })

  test('an object of nothing but an end record is empty', () => {
    expect(objectPlainSize(96)).toBe(0)
  })

  test('the limits are those of S3 minus the overhead', () => {
    expect(maxSinglePlainSize).toBe(5_366_088_832)
    expect(maxObjectPlainSize).toBe(5_494_875_094_304)
  })

  test.each([
    [1, 5_240_319, true],
    [1, 5_240_320, false],
    [9_999, 5_242_880, false],
    [10_000, 5_242_880, true],
  ])('part %i of %i bytes carries its own end record: %s', (number, size, own) => {
    expect(hasOwnEndRecord(number, size)).toBe(own)
  })

  test.each([
    [5_242_879, false],
    [5_242_880, true],
    [5_242_975, true],
    [5_242_976, false],
  ])('a stored size of %i is in the zone: %s', (stored, inZone) => {
    expect(isInZone(stored)).toBe(inZone)
  })
})
