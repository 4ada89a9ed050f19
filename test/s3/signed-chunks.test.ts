import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SignedChunkEncoder, signedChunksLength } from '../../src/s3/signed-chunks.ts'
import { chunkSigner, decode, frame } from './chunked-bodies.ts'

const numRuns = process.env['SLOW'] ? 500 : 25
const chunkSize = 256 * 1024

/** Bytes that differ from position to position, so that a shift can't go unseen. */
function pattern(size: number): Buffer {
  const bytes = Buffer.alloc(size)
  for (let i = 0; i < size; i += 1) bytes[i] = (i * 31 + (i >> 8) * 17) & 0xff
  return bytes
}

function encode(pieces: readonly Buffer[]): Buffer {
  const size = pieces.reduce((sum, piece) => sum + piece.length, 0)
  const encoder = new SignedChunkEncoder(chunkSigner(), size)
  const out: Buffer[] = []
  for (const piece of pieces) encoder.push(piece, out)
  encoder.finish(out)
  return Buffer.concat(out)
}

const boundaries = [
  0,
  1,
  15,
  16,
  chunkSize - 1,
  chunkSize,
  chunkSize + 1,
  2 * chunkSize,
  2 * chunkSize + 5,
]

describe.each(boundaries)('a body of %i bytes', (size) => {
  const data = pattern(size)
  const body = encode([data])

  test('has the length that is computed beforehand', () => {
    expect(signedChunksLength(size)).toBe(body.length)
  })

  test('is framed as clients do it', () => {
    const chunks = Array.from({ length: Math.ceil(size / chunkSize) }, (_, i) =>
      data.subarray(i * chunkSize, (i + 1) * chunkSize),
    )
    expect(body.equals(frame(chunks, { signed: true, trailers: null }))).toBe(true)
  })

  test('comes back from the decoder', () => {
    const decoded = decode([body], { signed: true, trailer: false, decodedLength: size })
    expect(decoded.data.equals(data)).toBe(true)
  })
})

test('any body in any pieces comes back from the decoder in any pieces', () => {
  const sizes = fc.array(
    fc.oneof(fc.nat(50), fc.nat(chunkSize + 10), fc.constantFrom(0, chunkSize, chunkSize - 1)),
    { maxLength: 5 },
  )
  fc.assert(
    fc.property(
      sizes,
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 }),
      (lengths, cuts) => {
        const data = pattern(lengths.reduce((sum, length) => sum + length, 0))
        let at = 0
        const pieces = lengths.map((length) => data.subarray(at, (at += length)))
        const body = encode(pieces)
        expect(body.length).toBe(signedChunksLength(data.length))
        const ends = [...cuts.map((cut) => Math.floor(cut * body.length)), body.length]
        const sorted = ends.toSorted((a, b) => a - b)
        const received = sorted.map((end, i) => body.subarray(sorted[i - 1] ?? 0, end))
        const options = { signed: true, trailer: false, decodedLength: data.length }
        expect(decode(received, options).data.equals(data)).toBe(true)
      },
    ),
    { numRuns },
  )
})

test('a chunk is emitted when it is whole, without copying', () => {
  const encoder = new SignedChunkEncoder(chunkSigner(), chunkSize)
  const out: Buffer[] = []
  const [first, second] = [Buffer.alloc(chunkSize - 1, 1), Buffer.alloc(1, 2)]
  encoder.push(first, out)
  expect(out).toHaveLength(0)
  encoder.push(second, out)
  expect(out).toHaveLength(4)
  expect(out[1]?.buffer).toBe(first.buffer)
})

test.each([-1, 1])('a body that is longer or shorter than declared by %i is refused', (by) => {
  const encoder = new SignedChunkEncoder(chunkSigner(), 100)
  const out: Buffer[] = []
  expect(() => {
    encoder.push(Buffer.alloc(100 + by), out)
    encoder.finish(out)
  }).toThrow(RangeError)
  expect(Buffer.concat(out).includes('0;chunk-signature=')).toBe(false)
})
