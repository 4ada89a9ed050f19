import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { searchPartSizes } from '../../src/ops/part-search.ts'
import { Dek } from '../../src/stream/dek.ts'
import { sealEndRecord } from '../../src/stream/end-record.ts'
import { IntegrityError } from '../../src/stream/errors.ts'
import type { ObjectTail } from '../../src/stream/layout.ts'
import { PartSealer } from '../../src/stream/part-sealer.ts'
import { endRecordSize, packagePlainSize, packageStoredSize } from '../../src/stream/sizes.ts'

const slow = Boolean(process.env['SLOW'])
const dek = Dek.generate()

function sealPart(size: number, number: number, key = dek): Buffer {
  const sealer = new PartSealer(key.partKey(number, size), size)
  const out: Buffer[] = []
  sealer.push(Buffer.alloc(size, number), out)
  sealer.finish(out)
  return Buffer.concat(out)
}

function tailOf(sizes: readonly number[]): ObjectTail {
  return {
    lastPart: sizes.length,
    lastPartSize: sizes.at(-1) ?? 0,
    zoneStoredSize: null,
    endRecords: 1,
    checksum: null,
  }
}

interface Body {
  readonly stored: Buffer
  readonly tail: ObjectTail
}

/** A body of these parts, its end record included. */
function seal(sizes: readonly number[]): Body {
  const tail = tailOf(sizes)
  const record = sealEndRecord(dek, {
    lastPart: tail.lastPart,
    lastPartSize: { kind: 'plain', size: tail.lastPartSize },
    checksum: null,
  })
  return { stored: Buffer.concat([...sizes.map((size, i) => sealPart(size, i + 1)), record]), tail }
}

async function search({ stored, tail }: Body): Promise<{ sizes: number[]; reads: number }> {
  const endOffset = stored.length - tail.endRecords * endRecordSize
  let reads = 0
  const sizes = await searchPartSizes(dek, {
    tail,
    endOffset,
    read(start, end) {
      reads += 1
      // Nothing outside the parts may be asked for: a backend answers such a range otherwise.
      if (start < 0 || start >= end || end > endOffset) {
        return Promise.reject(new RangeError(`read ${start}…${end} of ${endOffset}`))
      }
      return Promise.resolve(stored.subarray(start, end))
    },
  })
  return { sizes, reads }
}

const partSize = fc.oneof(
  fc.integer({ min: 1, max: 200_000 }),
  fc.constantFrom(1, packagePlainSize - 1, packagePlainSize, packagePlainSize + 1),
  fc.constantFrom(2 * packagePlainSize - 1, 2 * packagePlainSize, 2 * packagePlainSize + 1),
  // Sizes of the bytes in between, so that wrong guesses find something like a header.
  fc.constantFrom(packageStoredSize, packageStoredSize - 16, packageStoredSize + 16),
)

/** Parts, of which neighbours are often alike; the last may be empty. */
const layouts = fc
  .record({
    runs: fc.array(fc.record({ size: partSize, count: fc.integer({ min: 1, max: 3 }) }), {
      minLength: 1,
      maxLength: 4,
    }),
    last: fc.oneof({ weight: 4, arbitrary: partSize }, { weight: 1, arbitrary: fc.constant(0) }),
  })
  .map(({ runs, last }) => [
    ...runs.flatMap(({ size, count }) => Array.from({ length: count }, () => size)),
    last,
  ])

describe('part search', () => {
  test.each([
    [[1]],
    [[packagePlainSize]],
    [[packagePlainSize + 1]],
    [[1, 1]],
    [[1, 0]],
    [[1, 1, 1, 1, 1, 1, 1, 1]],
    [[packagePlainSize, packagePlainSize, packagePlainSize]],
    [[packagePlainSize, 1, packagePlainSize, 2]],
    [[10 * packagePlainSize, 1]],
    [[1, 10 * packagePlainSize]],
    [[3, 10 * packagePlainSize, 3, 9 * packagePlainSize + 5, 0]],
  ])('finds %j', async (sizes) => {
    expect((await search(seal(sizes))).sizes).toEqual(sizes)
  })

  test('finds any layout in few reads', async () => {
    await fc.assert(
      fc.asyncProperty(layouts, async (sizes) => {
        const body = seal(sizes)
        const found = await search(body)
        expect(found.sizes).toEqual(sizes)
        const packages = Math.max(2, Math.ceil(body.stored.length / packageStoredSize))
        expect(found.reads).toBeLessThanOrEqual(sizes.length * (4 + Math.log2(packages)))
      }),
      { numRuns: slow ? 1000 : 40 },
    )
  })

  test('a few large parts among small ones cost few reads too', async () => {
    const large = 100 * packagePlainSize
    const sizes = [large, large, large - 1, 5, large + 1, large, 1]
    const body = seal(sizes)
    const found = await search(body)
    expect(found.sizes).toEqual(sizes)
    const packages = Math.ceil(body.stored.length / packageStoredSize)
    expect(found.reads).toBeLessThanOrEqual(sizes.length * (4 + Math.log2(packages)))
  })

  test('parts of one size cost four reads each', async () => {
    const sizes = [...Array.from({ length: 9 }, () => 3 * packagePlainSize + 1), 1]
    expect((await search(seal(sizes))).reads).toBeLessThanOrEqual(4 * sizes.length + 6)
  })

  test('a zone record behind an own one is left alone', async () => {
    const sizes = [70_000, 5]
    const { stored, tail } = seal(sizes)
    const doubled = Buffer.concat([stored, stored.subarray(-endRecordSize)])
    expect((await search({ stored: doubled, tail: { ...tail, endRecords: 2 } })).sizes).toEqual(
      sizes,
    )
  })
})

describe('part search in a damaged body', () => {
  const sizes = [70_000, 140_000, 70_000]
  const offsets = [0, 70_064, 210_160]
  const { stored, tail } = seal(sizes)
  const record = stored.subarray(-endRecordSize)
  const parts = offsets.map((offset, i) =>
    stored.subarray(offset, offsets[i + 1] ?? -endRecordSize),
  )
  const [first = record, second = record, third = record] = parts
  const body = (...pieces: readonly Buffer[]): Body => ({
    stored: Buffer.concat([...pieces, record]),
    tail,
  })
  const flipped = (part: Buffer, at: number, bit = 1): Buffer => {
    const copy = Buffer.from(part)
    copy[at] = (copy[at] ?? 0) ^ bit
    return copy
  }

  test('undamaged it is found', async () => {
    expect((await search(body(first, second, third))).sizes).toEqual(sizes)
  })

  const damages: readonly [string, Body][] = [
    ['the first part is missing', body(second, third)],
    ['an inner part is missing', body(first, third)],
    ['the last part is missing', body(first, second)],
    ['a part is there twice', body(first, first, second, third)],
    ['a part is there in the place of another', body(first, second, second)],
    ['parts of one size are exchanged', body(third, second, first)],
    ['parts are in another order', body(second, first, third)],
    [
      'a part is sealed under another key',
      body(first, sealPart(140_000, 2, Dek.generate()), third),
    ],
    ['a part is sealed as another number', body(first, sealPart(140_000, 3), third)],
    ['a part of another object is added', body(first, second, third, sealPart(5, 4))],
    ['an end record stands among the parts', body(first, record, second, third)],
    [
      'the last package of a part is missing',
      body(first, second.subarray(0, 2 * packageStoredSize), third),
    ],
    ['a package of a part is missing', body(first, second.subarray(packageStoredSize), third)],
    ['bytes of a part are missing', body(first, second.subarray(0, -5), third)],
    ['the body begins later', body(first.subarray(1), second, third)],
    ['a byte is added in front', body(Buffer.alloc(1), first, second, third)],
    ['bytes are added behind', body(first, second, third, Buffer.alloc(16))],
    ['few bytes are added behind', body(first, second, third, Buffer.alloc(1))],
    ['there are only zeros', body(Buffer.alloc(stored.length - endRecordSize))],
    ['there are only random bytes', body(randomBytes(stored.length - endRecordSize))],
    ['there is nothing', body()],
    [
      'the final flag of a part is gone',
      body(first, flipped(second, 2 * packageStoredSize + 4, 0x80), third),
    ],
    ['a final flag is set too early', body(flipped(first, 4, 0x80), second, third)],
    [
      'the size in a final header is changed',
      body(first, flipped(second, 2 * packageStoredSize + 2), third),
    ],
    [
      'the nonce in a final header is changed',
      body(first, flipped(second, 2 * packageStoredSize + 9), third),
    ],
    [
      'a byte of a final package is changed',
      body(first, flipped(second, second.length - 20), third),
    ],
    ['a tag is changed', body(first, flipped(second, second.length - 1), third)],
    ['the record states more parts', { stored, tail: { ...tail, lastPart: 4 } }],
    ['the record states fewer parts', { stored, tail: { ...tail, lastPart: 2 } }],
    ['the record states another last size', { stored, tail: { ...tail, lastPartSize: 70_001 } }],
    ['the record states an empty last part', { stored, tail: { ...tail, lastPartSize: 0 } }],
  ]

  test.each(damages)('%s: IntegrityError', async (_, damaged) => {
    await expect(search(damaged)).rejects.toThrow(IntegrityError)
  })

  test('no change of a body goes unnoticed that changes what is found', async () => {
    const damage = fc.record({ at: fc.nat(stored.length - endRecordSize - 1), bit: fc.nat(7) })
    await fc.assert(
      fc.asyncProperty(damage, async ({ at, bit }) => {
        const changed = Buffer.from(stored)
        changed[at] = (changed[at] ?? 0) ^ (1 << bit)
        const found = await search({ stored: changed, tail }).catch((error: unknown) => error)
        // Bytes that the search doesn't read are verified by the reader of the object.
        const sizesOrError = found instanceof IntegrityError ? { sizes } : found
        expect(sizesOrError).toMatchObject({ sizes })
      }),
      { numRuns: slow ? 5000 : 200 },
    )
  })

  test('a large body of noise is refused in few reads', async () => {
    let reads = 0
    const endOffset = 1024 * 1024 * packageStoredSize
    const searching = searchPartSizes(dek, {
      tail,
      endOffset,
      read(start, end) {
        reads += 1
        return Promise.resolve(randomBytes(end - start))
      },
    })
    await expect(searching).rejects.toThrow(IntegrityError)
    expect(reads).toBeLessThan(30)
  })
})
