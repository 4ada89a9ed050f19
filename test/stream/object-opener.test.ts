import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Dek } from '../../src/stream/dek.ts'
import { sealEndRecord } from '../../src/stream/end-record.ts'
import { IntegrityError } from '../../src/stream/errors.ts'
import { Layout, uniformPartSize, type ObjectTail } from '../../src/stream/layout.ts'
import { ObjectOpener, storedSpan } from '../../src/stream/object-opener.ts'
import { openObjectTail, tailSize } from '../../src/stream/object-tail.ts'
import { PartSealer } from '../../src/stream/part-sealer.ts'

const dek = Dek.generate()

function sealPart(plain: Buffer, number: number): Buffer {
  const sealer = new PartSealer(dek.partKey(number, plain.length), plain.length)
  const out: Buffer[] = []
  sealer.push(plain, out)
  sealer.finish(out)
  return Buffer.concat(out)
}

interface Sealed {
  readonly plain: Buffer
  readonly stored: Buffer
  readonly layout: Layout
}

function sealObject(sizes: readonly number[]): Sealed {
  const parts = sizes.map((size) => randomBytes(size))
  const lastPartSize = sizes.at(-1) ?? 0
  const tail: ObjectTail = {
    lastPart: sizes.length,
    lastPartSize,
    zoneStoredSize: null,
    endRecords: 1,
    checksum: null,
  }
  const record = sealEndRecord(dek, {
    lastPart: sizes.length,
    lastPartSize: { kind: 'plain', size: lastPartSize },
    checksum: null,
  })
  return {
    plain: Buffer.concat(parts),
    stored: Buffer.concat([...parts.map((part, i) => sealPart(part, i + 1)), record]),
    layout: Layout.listed(tail, sizes),
  }
}

function read(stored: Buffer, layout: Layout, span: { start: number; end: number }) {
  const out: Buffer[] = []
  try {
    const opener = new ObjectOpener(dek, layout, span)
    const bytes = stored.subarray(opener.stored.start, opener.stored.end)
    for (let i = 0; i < bytes.length; i += 50_000) opener.push(bytes.subarray(i, i + 50_000), out)
    opener.finish(out)
    return { released: Buffer.concat(out), error: null }
  } catch (error) {
    return { released: Buffer.concat(out), error }
  }
}

const sizeLists = fc.array(fc.oneof(fc.integer({ min: 1, max: 200_000 }), fc.constant(65_536)), {
  minLength: 1,
  maxLength: 4,
})

describe('object opener', () => {
  test('any span of any layout gives exactly its plaintext', () => {
    fc.assert(
      fc.property(sizeLists, fc.nat(), fc.nat(), (sizes, a, b) => {
        const { plain, stored, layout } = sealObject(sizes)
        expect(layout.storedSize).toBe(stored.length)
        const start = a % plain.length
        const end = start + 1 + (b % (plain.length - start))
        for (const span of [
          { start, end },
          { start, end: plain.length },
          { start: 0, end: plain.length },
        ]) {
          const { released, error } = read(stored, layout, span)
          expect(error).toBeNull()
          expect(released.equals(plain.subarray(span.start, span.end))).toBe(true)
        }
      }),
      { numRuns: process.env['SLOW'] ? 1000 : 40 },
    )
  })

  test('a small span needs one package only', () => {
    const { layout } = sealObject([200_000, 200_000])
    expect(storedSpan(layout, { start: 65_536, end: 65_537 })).toEqual({
      start: 65_568,
      end: 131_136,
    })
  })

  test('an empty last part is passed over', () => {
    const { plain, stored, layout } = sealObject([100_000, 0])
    expect(read(stored, layout, { start: 99_999, end: 100_000 }).released).toEqual(
      plain.subarray(99_999),
    )
  })

  test.each([
    ['the end record is missing', (stored: Buffer) => stored.subarray(0, -96)],
    ['the last byte is missing', (stored: Buffer) => stored.subarray(0, -1)],
    ['a byte follows', (stored: Buffer) => Buffer.concat([stored, Buffer.alloc(1)])],
    [
      'a second end record follows',
      (stored: Buffer) => Buffer.concat([stored, stored.subarray(-96)]),
    ],
    ['the first part is missing', (stored: Buffer) => stored.subarray(70_064)],
  ])('when %s the read fails and the end is never released', (_, mutate) => {
    const { plain, stored, layout } = sealObject([70_000, 70_000])
    const out: Buffer[] = []
    const opener = new ObjectOpener(dek, layout, { start: 0, end: plain.length })
    expect(() => {
      opener.push(mutate(stored), out)
      opener.finish(out)
    }).toThrow(IntegrityError)
    expect(Buffer.concat(out).length).toBeLessThan(plain.length)
  })

  test('the end record of another layout of the same key is refused', () => {
    const { plain, stored } = sealObject([70_000])
    const foreign = sealObject([70_000, 10]).stored.subarray(-96)
    const layout = Layout.single(plain.length)
    const { error } = read(Buffer.concat([stored.subarray(0, -96), foreign]), layout, {
      start: 0,
      end: plain.length,
    })
    expect(error).toBeInstanceOf(IntegrityError)
  })

  test.each([
    [-1, 5],
    [5, 5],
    [6, 5],
    [0, 11],
  ])('a span %i…%i that is not in ten bytes is a caller fault', (start, end) => {
    expect(() => new ObjectOpener(dek, Layout.single(10), { start, end })).toThrow(RangeError)
  })
})

const zoneStored = 5_242_900

function zoneRecord(lastPart: number, storedSize = zoneStored): Buffer {
  return sealEndRecord(dek, {
    lastPart,
    lastPartSize: { kind: 'zone', storedSize },
    checksum: null,
  })
}

function ownRecord(lastPart: number, size: number): Buffer {
  return sealEndRecord(dek, { lastPart, lastPartSize: { kind: 'plain', size }, checksum: null })
}

describe('object tail', () => {
  const size = zoneStored - 96 - 80 * 32

  test('outside the zone one record states the last part', () => {
    const end = Buffer.concat([randomBytes(96), ownRecord(3, 1234)])
    expect(openObjectTail(dek, end)).toMatchObject({
      lastPart: 3,
      lastPartSize: 1234,
      endRecords: 1,
      zoneStoredSize: null,
    })
  })

  test('in the zone an own record inside is found', () => {
    const end = Buffer.concat([ownRecord(2, size), zoneRecord(2)])
    expect(openObjectTail(dek, end)).toMatchObject({ lastPartSize: size, endRecords: 2 })
  })

  test('in the zone without an own record the size follows from the stored size', () => {
    const end = Buffer.concat([randomBytes(96), zoneRecord(2)])
    expect(openObjectTail(dek, end)).toMatchObject({
      lastPartSize: zoneStored - 80 * 32,
      endRecords: 1,
    })
  })

  test.each([
    ['an own record of another part', Buffer.concat([ownRecord(3, size), zoneRecord(2)])],
    ['an own record of another size', Buffer.concat([ownRecord(2, size - 1), zoneRecord(2)])],
    ['two zone records', Buffer.concat([zoneRecord(2), zoneRecord(2)])],
    ['no record', randomBytes(tailSize)],
    ['too few bytes', ownRecord(1, 5).subarray(1)],
    ['a zone record outside the zone', Buffer.concat([randomBytes(96), zoneRecord(2, 5_242_976)])],
  ])('%s is refused', (_, end) => {
    expect(() => openObjectTail(dek, end)).toThrow(IntegrityError)
  })
})

describe('uniform part size', () => {
  const tail = (lastPart: number, lastPartSize: number): ObjectTail => ({
    lastPart,
    lastPartSize,
    zoneStoredSize: null,
    endRecords: 1,
    checksum: null,
  })

  test.each([5_242_880, 7_000_000, 8_388_608, 5_242_881])('finds %i', (size) => {
    for (const count of [1, 2, 3, 17]) {
      const last = tail(count, count === 1 ? size : 1000)
      const stored = Layout.uniform(last, size).storedSize
      expect(uniformPartSize(last, stored)).toBe(size)
    }
  })

  test.each([
    ['a single part of another size', tail(1, 1000), 5000],
    ['a remainder', tail(3, 10), 42 + 96 + 2 * 70_064 + 1],
    ['a size that no part has', tail(2, 10), 42 + 96 + 65_570],
    ['nothing left', tail(2, 10), 42 + 96],
  ])('null for %s', (_, last, stored) => {
    expect(uniformPartSize(last, stored)).toBeNull()
  })
})
