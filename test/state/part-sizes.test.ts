import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { marshalPartSizes, MAX_PARTS, parsePartSizes } from '../../src/state/part-sizes.ts'

const numRuns = process.env['SLOW'] === '1' ? 10_000 : 200

describe('part sizes', () => {
  test.each([
    [[0], '0'],
    [[17], '17'],
    [[5, 5], '5*2'],
    [[5_242_880, 5_242_880, 5_242_880, 17], '5242880*3,17'],
    [[1, 2, 1], '1,2,1'],
    [[Number.MAX_SAFE_INTEGER], '9007199254740991'],
    [Array.from({ length: MAX_PARTS }, () => 8), '8*10000'],
  ])('%j are written as runs and read back', (sizes, text) => {
    expect(marshalPartSizes(sizes)).toBe(text)
    expect(parsePartSizes(text)).toEqual(sizes)
  })

  test('whatever is written is read back', () => {
    const size = fc.oneof(fc.constantFrom(5_242_880, 8_388_608), fc.maxSafeNat())
    fc.assert(
      fc.property(fc.array(size, { minLength: 1, maxLength: 50 }), (sizes) => {
        expect(parsePartSizes(marshalPartSizes(sizes))).toEqual(sizes)
      }),
      { numRuns },
    )
  })

  test.each([
    [Array.from({ length: MAX_PARTS + 1 }, () => 1)],
    [[-1]],
    [[1.5]],
    [[Number.NaN]],
    [[Infinity]],
    [[2 ** 53]],
  ])('%j are refused', (sizes) => {
    expect(() => marshalPartSizes(sizes)).toThrow(RangeError)
  })

  test.each([
    ',',
    '1,',
    ',1',
    'x',
    '-1',
    '1.5',
    '1e3',
    ' 1',
    '1 ',
    '1\n',
    '1*',
    '*1',
    '1*0',
    '1*2*3',
    '1*-2',
    '1*10001',
    '1*99999',
    '1*10000,1',
    '9007199254740992',
    '12345678901234567',
    '1;2',
    '{"a":1}',
  ])('the text %j is refused', (text) => {
    expect(() => parsePartSizes(text)).toThrow(RangeError)
  })
})
