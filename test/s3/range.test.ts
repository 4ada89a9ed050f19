import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { S3Error } from '../../src/s3/errors.ts'
import { parseCopySourceRange, parseRange, resolveRange } from '../../src/s3/range.ts'

function span(header: string, size: number): [number, number] | string {
  const spec = parseRange(header)
  if (spec === null) return 'ignored'
  try {
    const { start, end } = resolveRange(spec, size)
    return [start, end]
  } catch (error) {
    if (error instanceof S3Error) return error.code
    throw error
  }
}

describe('range', () => {
  test.each([
    ['bytes=0-0', 10, [0, 1]],
    ['bytes=0-9', 10, [0, 10]],
    ['bytes=3-', 10, [3, 10]],
    ['bytes=9-9', 10, [9, 10]],
    ['bytes=5-100', 10, [5, 10]],
    ['bytes=-1', 10, [9, 10]],
    ['bytes=-10', 10, [0, 10]],
    ['bytes=-11', 10, [0, 10]],
    ['bytes=00-01', 10, [0, 2]],
    ['Bytes=0-0', 10, [0, 1]],
    [' bytes = 0-0 ', 10, [0, 1]],
    [`bytes=0-${'9'.repeat(400)}`, 10, [0, 10]],
    [`bytes=-${'9'.repeat(400)}`, 10, [0, 10]],
    ['bytes=5497558138879-', 5_497_558_138_880, [5_497_558_138_879, 5_497_558_138_880]],
  ])('%j of %i bytes', (header, size, expected) => {
    expect(span(header, size)).toEqual(expected)
  })

  test.each([
    ['bytes=10-', 10],
    ['bytes=10-20', 10],
    ['bytes=-0', 10],
    ['bytes=0-', 0],
    ['bytes=0-0', 0],
    ['bytes=-5', 0],
    [`bytes=${'9'.repeat(400)}-`, 10],
  ])('%j of %i bytes is not satisfiable', (header, size) => {
    expect(span(header, size)).toBe('InvalidRange')
  })

  test('says how large the object is when a range is not satisfiable', () => {
    const spec = parseRange('bytes=10-')
    expect(() => resolveRange(spec ?? { kind: 'suffix', size: 1 }, 10)).toThrow(
      expect.objectContaining({
        status: 416,
        headers: { 'content-range': 'bytes */10' },
        fields: { ActualObjectSize: '10' },
      }),
    )
  })

  test.each([
    '',
    'bytes',
    'bytes=',
    'bytes=-',
    'bytes=a-b',
    'bytes=5-2',
    'bytes=0-1,3-4',
    'bytes=0-1,',
    'bytes=0',
    'bytes=--1',
    'bytes=+0-1',
    'bytes=0x0-0x1',
    'bytes=0-1.5',
    'bytes=0 - 1',
    'bits=0-1',
    'items=0-1',
    'bytes:0-1',
    'bytes=0-1\nbytes=2-3',
  ])('%j is ignored', (header) => {
    expect(parseRange(header)).toBeNull()
  })

  test('no header is no range', () => {
    expect(parseRange(undefined)).toBeNull()
  })

  test('a span lies in the object and is what was asked for', () => {
    const number = fc.oneof(fc.nat(20), fc.maxSafeNat())
    fc.assert(
      fc.property(number, number, fc.nat(20), (first, last, size) => {
        const expected = first > last ? 'ignored' : first >= size ? 'InvalidRange' : null
        const found = span(`bytes=${first}-${last}`, size)
        expect(found).toEqual(expected ?? [first, Math.min(last + 1, size)])
      }),
      { numRuns: process.env['SLOW'] ? 50_000 : 500 },
    )
  })
})

describe('copy source range', () => {
  test.each([
    ['bytes=0-0', { start: 0, end: 1 }],
    ['bytes=5-9', { start: 5, end: 10 }],
    ['bytes=0-999999999999999', { start: 0, end: 1_000_000_000_000_000 }],
  ])('%j', (header, expected) => {
    expect(parseCopySourceRange(header)).toEqual(expected)
  })

  test.each([
    '',
    'bytes=0-',
    'bytes=-5',
    'bytes=-',
    'bytes=5-4',
    'bytes=0-1,2-3',
    'Bytes=0-1',
    ' bytes=0-1',
    'bytes=0-1 ',
    '0-1',
    `bytes=0-${'9'.repeat(16)}`,
  ])('%j is InvalidArgument', (header) => {
    expect(() => parseCopySourceRange(header)).toThrow(
      expect.objectContaining({ code: 'InvalidArgument' }),
    )
  })
})
