import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { needsRecord, partSizes } from '../../src/ops/layout-record.ts'
import { Layout, uniformPartSize, type ObjectTail } from '../../src/stream/layout.ts'
import { objectPlainSize, packagePlainSize } from '../../src/stream/sizes.ts'

const mebibyte = 1024 * 1024

function tailOf(sizes: readonly number[]): ObjectTail {
  return {
    lastPart: sizes.length,
    lastPartSize: sizes.at(-1) ?? 0,
    zoneStoredSize: null,
    endRecords: 1,
    checksum: null,
  }
}

describe('layout record', () => {
  test.each([
    [[0]],
    [[1]],
    [[5 * mebibyte, 1]],
    [[5 * mebibyte, 5 * mebibyte]],
    [[5 * mebibyte, 0]],
    [[5 * mebibyte, 64 * mebibyte]],
    [[8 * mebibyte, 8 * mebibyte, 8 * mebibyte, 3]],
    [[5 * mebibyte + packagePlainSize, 1]],
  ])('%j needs none', (sizes) => {
    expect(needsRecord(sizes)).toBe(false)
  })

  test.each([
    [[5 * mebibyte + 1, 1]],
    [[6_000_000, 6_000_000, 1]],
    [[5 * mebibyte, 6 * mebibyte, 1]],
    [[6 * mebibyte, 5 * mebibyte, 1]],
    [[5 * mebibyte, 5 * mebibyte, 5 * mebibyte + 1, 1]],
  ])('%j needs one', (sizes) => {
    expect(needsRecord(sizes)).toBe(true)
  })

  const sizeLists = fc
    .record({
      inner: fc.array(fc.constantFrom(5, 6, 8, 5.5, 5.00001), { maxLength: 4 }),
      last: fc.nat(9 * mebibyte),
    })
    .map(({ inner, last }) => [...inner.map((size) => Math.ceil(size * mebibyte)), last])

  test('without one, size and layout follow from the stored size', () => {
    fc.assert(
      fc.property(sizeLists, (sizes) => {
        fc.pre(!needsRecord(sizes))
        const layout = Layout.listed(tailOf(sizes), sizes)
        const first = sizes.length > 1 ? sizes[0] : layout.plainSize
        expect(objectPlainSize(layout.storedSize)).toBe(layout.plainSize)
        expect(uniformPartSize(layout.tail, layout.storedSize)).toBe(first)
        const inferred = Layout.uniform(layout.tail, first ?? 0)
        expect(inferred.storedSize).toBe(layout.storedSize)
        expect(partSizes(inferred)).toEqual(sizes)
      }),
      { numRuns: process.env['SLOW'] ? 10_000 : 200 },
    )
  })

  test('a listed layout gives its sizes back', () => {
    fc.assert(
      fc.property(sizeLists, (sizes) => {
        expect(partSizes(Layout.listed(tailOf(sizes), sizes))).toEqual(sizes)
      }),
    )
  })
})
