import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Dek } from '../../src/stream/dek.ts'
import { IntegrityError } from '../../src/stream/errors.ts'
import { PartOpener } from '../../src/stream/part-opener.ts'
import { PartSealer } from '../../src/stream/part-sealer.ts'
import { partStoredSize } from '../../src/stream/sizes.ts'

const dek = Dek.generate()

function split(bytes: Buffer, size: number): Buffer[] {
  const pieces = []
  for (let i = 0; i < bytes.length; i += size) pieces.push(bytes.subarray(i, i + size))
  return pieces
}

function seal(plain: Buffer, options: { step?: number; part?: number } = {}): Buffer {
  const sealer = new PartSealer(dek.partKey(options.part ?? 1, plain.length), plain.length)
  const out: Buffer[] = []
  for (const piece of split(plain, options.step ?? 10_000)) sealer.push(piece, out)
  sealer.finish(out)
  return Buffer.concat(out)
}

interface Opened {
  readonly released: Buffer
  readonly error: unknown
}

function open(
  stored: Buffer,
  size: number,
  options: { step?: number; part?: number } = {},
): Opened {
  const opener = new PartOpener(dek.partKey(options.part ?? 1, size), size)
  const out: Buffer[] = []
  try {
    for (const piece of split(stored, options.step ?? 10_000)) opener.push(piece, out)
    return { released: Buffer.concat(out), error: null }
  } catch (error) {
    return { released: Buffer.concat(out), error }
  }
}

const sizes = [0, 1, 1000, 65_535, 65_536, 65_537, 65_636, 131_072, 131_572]
const steps = [512, 1000, 65_535, 65_536, 65_537, 65_568]

describe('part stream', () => {
  test.each(sizes.flatMap((size) => steps.map((step) => ({ size, step }))))(
    'gives back $size bytes moved in steps of $step',
    ({ size, step }) => {
      const plain = randomBytes(size)
      const stored = seal(plain, { step })
      expect(stored.length).toBe(partStoredSize(size))
      const { released, error } = open(stored, size, { step })
      expect(error).toBeNull()
      expect(released.equals(plain)).toBe(true)
    },
  )

  test('gives back bytes moved one by one', () => {
    const plain = randomBytes(65_600)
    expect(open(seal(plain, { step: 1 }), plain.length, { step: 1 }).released.equals(plain)).toBe(
      true,
    )
  })

  test('the same part sealed twice has different nonces and bytes', () => {
    const plain = Buffer.alloc(100)
    expect(seal(plain).subarray(4, 16)).not.toEqual(seal(plain).subarray(4, 16))
  })

  test('before finish the last tag is missing', () => {
    const plain = randomBytes(70_000)
    const sealer = new PartSealer(dek.partKey(1, plain.length), plain.length)
    const out: Buffer[] = []
    sealer.push(plain, out)
    expect(Buffer.concat(out).length).toBe(partStoredSize(plain.length) - 16)
  })

  test('more or fewer bytes than declared are refused', () => {
    expect(() => new PartSealer(dek.partKey(1, 5), 5).push(Buffer.alloc(6), [])).toThrow(RangeError)
    const sealer = new PartSealer(dek.partKey(1, 5), 5)
    sealer.push(Buffer.alloc(4), [])
    expect(() => sealer.finish([])).toThrow(RangeError)
  })

  test('a flipped byte anywhere is refused and only whole verified packages are released', () => {
    const plain = randomBytes(65_536 + 300)
    const stored = seal(plain)
    const offsets = fc.oneof(
      fc.constantFrom(...Array.from({ length: 16 }, (_, i) => i)),
      fc.constantFrom(...Array.from({ length: 16 }, (_, i) => 65_568 + i)),
      fc.nat(stored.length - 1),
    )
    fc.assert(
      fc.property(offsets, fc.integer({ min: 1, max: 255 }), (offset, flip) => {
        const bad = Buffer.from(stored)
        bad[offset] = (bad[offset] ?? 0) ^ flip
        const { released, error } = open(bad, plain.length)
        expect(error).toBeInstanceOf(IntegrityError)
        expect(released.equals(plain.subarray(0, offset < 65_568 ? 0 : 65_536))).toBe(true)
      }),
    )
  })

  test.each([
    ['another part number', { part: 2, size: 70_000 }],
    ['another size with as many packages', { part: 1, size: 70_001 }],
  ])('is refused as %s', (_, { part, size }) => {
    const stored = Buffer.concat([seal(randomBytes(70_000)), Buffer.alloc(1)])
    expect(open(stored.subarray(0, partStoredSize(size)), size, { part }).error).toBeInstanceOf(
      IntegrityError,
    )
  })

  test('swapped, doubled and spliced packages are refused', () => {
    const plain = randomBytes(3 * 65_536)
    const stored = seal(plain)
    const other = seal(plain)
    const [a, b, c] = split(stored, 65_568)
    const foreign = split(other, 65_568)[1]
    if (!a || !b || !c || !foreign) throw new Error('three packages expected')
    for (const packages of [
      [b, a, c],
      [a, a, c],
      [a, c, b],
      [a, foreign, c],
      [c, b, a],
    ]) {
      expect(open(Buffer.concat(packages), plain.length).error).toBeInstanceOf(IntegrityError)
    }
  })

  test('a range of packages opens by itself', () => {
    const plain = randomBytes(4 * 65_536 + 10)
    const stored = seal(plain)
    const key = dek.partKey(1, plain.length)
    for (const [first, end] of [
      [0, 1],
      [1, 3],
      [3, 5],
      [4, 5],
    ] as const) {
      const opener = new PartOpener(key, plain.length, { first, end })
      const out: Buffer[] = []
      opener.push(stored.subarray(first * 65_568, Math.min(end * 65_568, stored.length)), out)
      expect(opener.remaining).toBe(0)
      expect(Buffer.concat(out).equals(plain.subarray(first * 65_536, end * 65_536))).toBe(true)
    }
  })
})
