import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decode, frame, verdict, type Framing } from './chunked-bodies.ts'

const numRuns = process.env['SLOW'] ? 20_000 : 500

const bytes = fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array))
const framings: fc.Arbitrary<Framing> = fc.record({
  signed: fc.boolean(),
  trailers: fc.constantFrom(null, [], ['x-amz-checksum-crc32:AAAAAA=='], ['a:b', 'c:d']),
  style: fc.constantFrom('aws', 'minio'),
})

/** Pieces of a body that ends at each of the given fractions. */
function cut(body: Buffer, cuts: readonly number[]): Buffer[] {
  const ends = [...cuts.map((at) => at % (body.length + 1)), body.length].toSorted((a, b) => a - b)
  return ends.map((end, i) => body.subarray(ends[i - 1] ?? 0, end))
}

test('whatever clients frame comes back, however it is cut', () => {
  const chunks = fc.array(
    bytes.filter(({ length }) => length > 0),
    { maxLength: 5 },
  )
  fc.assert(
    fc.property(chunks, framings, fc.array(fc.nat(), { maxLength: 8 }), (data, framing, cuts) => {
      const { signed, trailers } = framing
      // Without a trailer line MinIO's style would be an empty line too many.
      fc.pre(trailers?.length !== 0 || framing.style === 'aws')
      const whole = Buffer.concat(data)
      const options = { signed, trailer: trailers !== null, decodedLength: whole.length }
      const decoded = decode(cut(frame(data, framing), cuts), options)
      expect(decoded.data.equals(whole)).toBe(true)
      expect(decoded.trailers.size).toBe(trailers?.length ?? 0)
    }),
    { numRuns },
  )
})

test('any bytes are decoded or refused with S3Error', () => {
  const part = fc.oneof(
    bytes,
    fc
      .constantFrom('0', '1', '\r\n', '\n', ';chunk-signature=', 'a:b', '\0')
      .map((text) => Buffer.from(text)),
    fc.constant(Buffer.from('x-amz-trailer-signature:')),
  )
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 20 }),
      fc.record({ signed: fc.boolean(), trailer: fc.boolean(), decodedLength: fc.nat(20) }),
      (parts, options) => {
        const codes = ['InvalidRequest', 'IncompleteBody', 'SignatureDoesNotMatch']
        const allowed = options.signed ? codes : [...codes, 'accepted']
        expect(allowed).toContain(verdict(parts, options))
      },
    ),
    { numRuns },
  )
})

test('a body that was changed anywhere never gives other data with the same signatures', () => {
  const change = fc.record({ at: fc.nat(), remove: fc.nat(5), insert: bytes })
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 4 }), framings, change, (data, framing, edit) => {
      const whole = Buffer.concat(data)
      const body = frame(
        data.filter(({ length }) => length > 0),
        { ...framing, signed: true },
      )
      const at = edit.at % (body.length + 1)
      const changed = Buffer.concat([
        body.subarray(0, at),
        edit.insert,
        body.subarray(at + edit.remove),
      ])
      const options = {
        signed: true,
        trailer: framing.trailers !== null,
        decodedLength: whole.length,
      }
      const isRefused = verdict([changed], options) !== 'accepted'
      expect(isRefused || decode([changed], options).data.equals(whole)).toBe(true)
    }),
    { numRuns },
  )
})
