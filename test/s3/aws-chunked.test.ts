import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { AwsChunkedDecoder } from '../../src/s3/aws-chunked.ts'
import { ChunkSigner } from '../../src/sigv4/chunk-signature.ts'
import { signingKey } from '../../src/sigv4/signing-key.ts'
import { chunkSigner, decode, frame, verdict, type Framing } from './chunked-bodies.ts'

const chunks = [Buffer.from('the first chunk\r\n0'), Buffer.from('x'), Buffer.from('\r\n\r\n')]
const data = Buffer.concat(chunks)
const trailers = ['x-amz-checksum-crc32c:sOO8/Q==', 'x-amz-meta-a:b']

const kinds: readonly (readonly [string, Framing])[] = [
  ['signed chunks', { signed: true, trailers: null }],
  ['signed chunks and trailers', { signed: true, trailers }],
  ['signed chunks and trailers as MinIO sends them', { signed: true, trailers, style: 'minio' }],
  ['signed chunks and no trailers in the trailer section', { signed: true, trailers: [] }],
  ['unsigned chunks and trailers', { signed: false, trailers }],
  ['unsigned chunks and trailers as MinIO sends them', { signed: false, trailers, style: 'minio' }],
  ['unsigned chunks and no trailers in the trailer section', { signed: false, trailers: [] }],
  ['unsigned chunks without a trailer section', { signed: false, trailers: null }],
]

function options({ signed, trailers: lines }: Framing) {
  return { signed, trailer: lines !== null, decodedLength: data.length }
}

function flip(body: Buffer, bit: number): Buffer {
  const flipped = Buffer.from(body)
  flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
  return flipped
}

/** Where nothing but a checksum protects the bytes: the data, and the trailers themselves. */
function unsignedPositions(body: Buffer, { trailers: lines }: Framing): Set<number> {
  const positions = new Set<number>()
  let from = 0
  for (const chunk of chunks) {
    const start = body.indexOf(chunk, body.indexOf('\r\n', from) + 2)
    for (let i = 0; i < chunk.length; i += 1) positions.add(start + i)
    from = start + chunk.length + 2
  }
  if (!lines) return positions
  for (let i = body.indexOf('\r\n', from) + 2; i < body.length; i += 1) positions.add(i)
  return positions
}

describe.each(kinds)('%s', (_, framing) => {
  const body = frame(chunks, framing)
  const expectedTrailers = new Map(
    (framing.trailers ?? []).map((line) => line.split(':', 2) as [string, string]),
  )

  test('are decoded', () => {
    const decoded = decode([body], options(framing))
    expect(decoded.data.equals(data)).toBe(true)
    expect(decoded.trailers).toEqual(expectedTrailers)
  })

  test('are decoded wherever they are cut in two', () => {
    for (let at = 0; at <= body.length; at += 1) {
      const decoded = decode([body.subarray(0, at), body.subarray(at)], options(framing))
      expect(decoded.data.equals(data), `cut at ${at}`).toBe(true)
      expect(decoded.trailers, `cut at ${at}`).toEqual(expectedTrailers)
    }
  })

  test('are decoded byte by byte', () => {
    const bytes = Array.from(body, (byte) => Buffer.from([byte]))
    const decoded = decode(bytes, options(framing))
    expect(decoded.data.equals(data)).toBe(true)
    expect(decoded.trailers).toEqual(expectedTrailers)
  })

  test('are incomplete wherever they are cut off', () => {
    for (let end = 0; end < body.length; end += 1) {
      expect(verdict([body.subarray(0, end)], options(framing)), `${end} bytes`).toBe(
        'IncompleteBody',
      )
    }
  })

  test('are refused with bytes behind their end', () => {
    for (const extra of ['\r\n', '\n', '0', '\0', '0\r\n\r\n', body.toString('latin1')]) {
      const bytes = Buffer.from(extra, 'latin1')
      expect(verdict([Buffer.concat([body, bytes])], options(framing))).toBe('InvalidRequest')
      expect(verdict([body, bytes], options(framing))).toBe('InvalidRequest')
    }
  })

  test('are refused with a flipped bit, but for unsigned data and the case of names', () => {
    const harmless = framing.signed ? new Set<number>() : unsignedPositions(body, framing)
    const trailerStart = framing.trailers
      ? body.indexOf('\r\n', body.lastIndexOf('\r\n0') + 2)
      : Infinity
    for (let bit = 0; bit < body.length * 8; bit += 1) {
      const at = bit >> 3
      const isLetter = /[a-z]/.test(String.fromCharCode(body[at] ?? 0))
      const isName =
        at > trailerStart &&
        body.indexOf(':', at) > 0 &&
        body.indexOf(':', at) < body.indexOf('\n', at)
      if (harmless.has(at) || (isName && isLetter && (bit & 7) === 5)) continue
      expect(verdict([flip(body, bit)], options(framing)), `bit ${bit}`).not.toBe('accepted')
    }
  })

  test.each([-data.length, -1, 1, 1000])(
    'are refused if x-amz-decoded-content-length is off by %i',
    (by) => {
      const wrong = { ...options(framing), decodedLength: data.length + by }
      expect(verdict([body], wrong)).toBe('IncompleteBody')
    },
  )

  test('are refused without their last chunk, with one dropped, doubled or swapped', () => {
    const [a, b, c] = chunks as [Buffer, Buffer, Buffer]
    for (const wrong of [[a, b], [b, c], [a, b, b, c], [a, c], []]) {
      expect(verdict([frame(wrong, framing)], options(framing))).toBe('IncompleteBody')
    }
  })

  test('are refused if they are read as another kind', () => {
    for (const signed of [true, false]) {
      for (const trailer of [true, false]) {
        if (signed === framing.signed && trailer === (framing.trailers !== null)) continue
        // Without trailers both sections look alike if nothing is signed.
        if (!signed && !framing.signed && framing.trailers?.length !== 2) continue
        const as = { signed, trailer, decodedLength: data.length }
        expect(verdict([body], as), `signed: ${signed}, trailer: ${trailer}`).not.toBe('accepted')
      }
    }
  })
})

describe('an empty body', () => {
  test.each(kinds)('in %s is decoded', (_, framing) => {
    const empty = { ...options(framing), decodedLength: 0 }
    expect(decode([frame([], framing)], empty).data).toHaveLength(0)
    expect(verdict([frame([Buffer.from('x')], framing)], empty)).toBe('IncompleteBody')
  })

  test('of no bytes at all is not whole', () => {
    expect(verdict([], { signed: false, trailer: false, decodedLength: 0 })).toBe('IncompleteBody')
  })
})

describe('signatures', () => {
  const signed = { signed: true, trailer: true, decodedLength: data.length }

  test('of another chain are refused at the first chunk', () => {
    const body = frame(chunks, { signed: true, trailers, signer: chunkSigner('b') })
    expect(verdict([body], signed)).toBe('SignatureDoesNotMatch')
  })

  test('of swapped chunks of equal size are refused', () => {
    const [a, b] = [Buffer.from('aaaa'), Buffer.from('bbbb')]
    const body = frame([a, b], { signed: true, trailers: null })
    const size = body.indexOf('\r\n4;') + 2
    const swapped = Buffer.concat([
      body.subarray(size, 2 * size),
      body.subarray(0, size),
      body.subarray(2 * size),
    ])
    const as = { signed: true, trailer: false, decodedLength: 8 }
    expect(verdict([body], as)).toBe('accepted')
    expect(verdict([swapped], as)).toBe('SignatureDoesNotMatch')
  })

  test('of trailers cover names, values and order', () => {
    const text = frame(chunks, { signed: true, trailers }).toString('latin1')
    const [first = '', second = ''] = trailers
    for (const wrong of [
      text.replace('sOO8', 'sOO9'),
      text.replace('meta-a', 'meta-b'),
      text.replace(`${first}\r\n${second}`, `${second}\r\n${first}`),
      text.replace(`${second}\r\n`, ''),
      text.replace(second, `${second}\r\nx-amz-meta-c:d`),
    ]) {
      expect(wrong).not.toBe(text)
      expect(verdict([Buffer.from(wrong, 'latin1')], signed)).toBe('SignatureDoesNotMatch')
    }
  })

  test('of trailers are as those of lines in upper case and with spaces', () => {
    const text = frame(chunks, { signed: true, trailers }).toString('latin1')
    const spaced = text.replace('x-amz-meta-a:b', 'X-Amz-Meta-A: \tb ')
    expect(spaced).not.toBe(text)
    expect(verdict([Buffer.from(spaced, 'latin1')], signed)).toBe('accepted')
  })

  test('must be there, be whole and be last but for the empty line', () => {
    const text = frame(chunks, { signed: true, trailers }).toString('latin1')
    const line = /x-amz-trailer-signature:[0-9a-f]{64}\r\n/
    for (const [to, code] of [
      ['', 'SignatureDoesNotMatch'],
      ['x-amz-trailer-signature:\r\n', 'SignatureDoesNotMatch'],
      ['x-amz-trailer-signature:abc\r\n', 'SignatureDoesNotMatch'],
      ['$&$&', 'InvalidRequest'],
      ['\r\n$&', 'SignatureDoesNotMatch'],
    ] as const) {
      expect(verdict([Buffer.from(text.replace(line, to), 'latin1')], signed)).toBe(code)
    }
  })

  test('of trailers are refused where nothing is signed', () => {
    const line = `x-amz-trailer-signature:${'a'.repeat(64)}`
    const body = frame(chunks, { signed: false, trailers: [...trailers, line] })
    expect(verdict([body], { ...signed, signed: false })).toBe('InvalidRequest')
  })
})

test('the chunked upload of the AWS documentation is decoded', () => {
  const signer = new ChunkSigner({
    signingKey: signingKey('wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY', '20130524', 'us-east-1'),
    scope: '20130524/us-east-1/s3/aws4_request',
    amzDate: '20130524T000000Z',
    seedSignature: '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e',
  })
  const body =
    `10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n${'a'.repeat(65_536)}\r\n` +
    `400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n${'a'.repeat(1024)}\r\n` +
    '0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n' +
    'x-amz-checksum-crc32c:sOO8/Q==\n\r\n' +
    'x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n'
  const decoder = new AwsChunkedDecoder({ signer, trailer: true, decodedLength: 66_560 })
  const hash = createHash('sha256')
  decoder.push(Buffer.from(body), (bytes) => hash.update(bytes))
  expect(decoder.finish()).toEqual(new Map([['x-amz-checksum-crc32c', 'sOO8/Q==']]))
  const expected = createHash('sha256').update('a'.repeat(66_560)).digest('hex')
  expect(hash.digest('hex')).toBe(expected)
})
