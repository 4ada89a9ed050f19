import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { clientPartSize, isAppendedRecord, type BackendPart } from '../../src/ops/backend-parts.ts'
import {
  endRecordSize,
  hasOwnEndRecord,
  isInZone,
  maxPartNumber,
  minPartSize,
  packageStoredSize,
  partStoredSize,
} from '../../src/stream/sizes.ts'

const mebibyte = 1024 * 1024

function part(number: number, storedSize: number): BackendPart {
  return { number, storedSize, etag: 'a', lastModified: '' }
}

/** What an uploaded part of this plaintext size takes at the backend (`docs/format.md` §4.4). */
function uploadedSize(number: number, plainSize: number): number {
  return partStoredSize(plainSize) + (hasOwnEndRecord(number, plainSize) ? endRecordSize : 0)
}

describe('client part size', () => {
  test.each([
    ['an empty part', 1, 96, 0],
    ['one byte', 1, 1 + 32 + 96, 1],
    ['a full package', 1, packageStoredSize + 96, 65_536],
    ['one byte more', 1, packageStoredSize + 33 + 96, 65_537],
    ['S3’s smallest part', 1, partStoredSize(5 * mebibyte), 5 * mebibyte],
    ['a large part', 7, partStoredSize(64 * mebibyte + 5), 64 * mebibyte + 5],
    ['the last number', maxPartNumber, partStoredSize(64 * mebibyte) + 96, 64 * mebibyte],
    ['the last number, empty', maxPartNumber, 96, 0],
  ])('%s', (_, number, storedSize, plainSize) => {
    expect(clientPartSize(part(number, storedSize))).toBe(plainSize)
  })

  test.each([
    ['nothing', 1, 0],
    ['less than an end record', 1, 95],
    ['an end record and an empty package', 1, 96 + 32],
    ['a size that no stream has', 1, 96 * packageStoredSize + 10],
    ['the last number with a size that no stream has', maxPartNumber, 96 + packageStoredSize + 32],
    ['no number', 1, Number.NaN],
  ])('%s can not be a part of ours', (_, number, storedSize) => {
    expect(clientPartSize(part(number, storedSize))).toBeNull()
  })

  test('is what was uploaded, but in the zone', () => {
    const sizes = fc.oneof(
      fc.nat(64 * mebibyte),
      fc.integer({ min: minPartSize - 3000, max: minPartSize + 3000 }),
    )
    fc.assert(
      fc.property(fc.constantFrom(1, 9999, maxPartNumber), sizes, (number, plainSize) => {
        const storedSize = uploadedSize(number, plainSize)
        const found = clientPartSize(part(number, storedSize))
        const isAmbiguous = isInZone(storedSize) && number !== maxPartNumber
        expect(isAmbiguous || found === plainSize).toBe(true)
      }),
      { numRuns: process.env['SLOW'] ? 100_000 : 1000 },
    )
  })

  test('in the zone is the one without an end record', () => {
    const storedSize = minPartSize + 50
    const plainSize = storedSize - 80 * 32
    expect(uploadedSize(1, plainSize)).toBe(storedSize)
    expect(uploadedSize(1, plainSize - endRecordSize)).toBe(storedSize)
    expect(clientPartSize(part(1, storedSize))).toBe(plainSize)
  })
})

describe('appended record', () => {
  const first = part(1, partStoredSize(5 * mebibyte))
  const second = part(2, partStoredSize(5 * mebibyte))

  test.each([
    ['behind the parts', part(3, 96)],
    ['at the last number', part(maxPartNumber, 96)],
  ])('%s it is one', (_, record) => {
    expect(isAppendedRecord(record, [first, second, record])).toBe(true)
  })

  test('at the last number it is one even if another follows the parts', () => {
    const next = part(3, 96)
    const last = part(maxPartNumber, 96)
    expect(isAppendedRecord(last, [first, second, next, last])).toBe(true)
  })

  test.each([
    ['the only part', part(1, 96), []],
    ['a part that others follow', part(1, 96), [second]],
    ['a part of another size', part(2, 97), [first]],
    ['a whole part', part(2, partStoredSize(5 * mebibyte)), [first]],
  ])('%s is none', (_, candidate, others) => {
    const all = [candidate, ...others].toSorted((a, b) => a.number - b.number)
    expect(isAppendedRecord(candidate, all)).toBe(false)
  })
})
