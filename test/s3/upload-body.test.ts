import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { S3Error } from '../../src/s3/errors.ts'
import type { PayloadMode } from '../../src/s3/payload-mode.ts'
import { UploadBody } from '../../src/s3/upload-body.ts'
import { chunkSigner, frame } from './chunked-bodies.ts'
import {
  checksumOf,
  chunked,
  data,
  md5,
  other,
  refusal,
  sha256,
  trailing,
  unsigned,
  upload,
  type Upload,
} from './uploads.ts'

describe('accepts', () => {
  test.each<[string, Upload]>([
    ['a body of which nothing is stated but its length', {}],
    ['a payload hash', { payload: { kind: 'sha256', hex: sha256(data) } }],
    ['Content-MD5', { headers: { 'content-md5': md5(data) } }],
    [
      'an announced algorithm in lower case',
      {
        headers: {
          'x-amz-sdk-checksum-algorithm': 'crc32',
          'x-amz-checksum-crc32': checksumOf('CRC32'),
        },
      },
    ],
    ['unsigned chunks without a trailer', chunked([], {})],
    ['an empty announcement of trailers', chunked([], { 'x-amz-trailer': '' })],
    [
      'unsigned chunks with a checksum in a header',
      chunked([], { 'x-amz-checksum-crc32': checksumOf('CRC32') }),
    ],
    ['Content-MD5 of what is in chunks', chunked([], { 'content-md5': md5(data) })],
    [
      'a trailer announced in capitals',
      chunked([`x-amz-checksum-crc32:${checksumOf('CRC32')}`], {
        'x-amz-trailer': ' X-Amz-Checksum-CRC32 ,',
      }),
    ],
  ])('%s', (_, options) => {
    expect(upload(options).plain.equals(data)).toBe(true)
  })

  test('all that can be stated at once', () => {
    const { verified } = upload({
      payload: { kind: 'sha256', hex: sha256(data) },
      headers: { 'content-md5': md5(data), 'x-amz-checksum-sha1': checksumOf('SHA1') },
    })
    expect(verified.checksum?.algorithm).toBe('SHA1')
  })

  test.each([unsigned, { kind: 'sha256', hex: sha256(Buffer.alloc(0)) } as const])(
    'an empty body as %o',
    (payload) => {
      expect(upload({ payload, body: Buffer.alloc(0) }).plain).toHaveLength(0)
    },
  )

  test('signed chunks with and without trailers', () => {
    const trailer = `x-amz-checksum-crc32:${checksumOf('CRC32')}`
    const headers = { 'x-amz-decoded-content-length': String(data.length) }
    for (const trailers of [null, [], [trailer]]) {
      const outcome = upload({
        payload: { kind: 'aws-chunked', signer: chunkSigner(), trailer: trailers !== null },
        body: frame([data.subarray(0, 20), data.subarray(20)], { signed: true, trailers }),
        headers: trailers?.length
          ? { ...headers, 'x-amz-trailer': 'x-amz-checksum-crc32' }
          : headers,
      })
      expect(outcome.plain.equals(data)).toBe(true)
      expect(outcome.verified.checksum?.algorithm).toBe(trailers?.length ? 'CRC32' : undefined)
    }
  })

  test('a body as boto3 sends it', () => {
    const value = Buffer.alloc(4)
    value.writeUInt32BE(crc32(data))
    const body = `2b\r\n${data.toString()}\r\n0\r\nx-amz-checksum-crc32:${value.toString('base64')}\r\n\r\n`
    const { plain, verified } = upload({
      payload: trailing,
      body: Buffer.from(body),
      headers: {
        'content-encoding': 'aws-chunked',
        'x-amz-decoded-content-length': '43',
        'x-amz-sdk-checksum-algorithm': 'CRC32',
        'x-amz-trailer': 'x-amz-checksum-crc32',
      },
    })
    expect(plain.equals(data)).toBe(true)
    expect(verified.checksum?.value.equals(value)).toBe(true)
  })

  test('nothing as verified if nothing was stated', () => {
    expect(upload({}).verified).toEqual({ checksum: null })
    expect(upload({ headers: { 'content-md5': md5(data) } }).verified).toEqual({ checksum: null })
  })
})

describe('refuses before it reads', () => {
  const headersOf =
    (headers: Record<string, string>, payload: PayloadMode, contentLength: number | null) => () =>
      new UploadBody({ headers: new Map(Object.entries(headers)), payload, contentLength })

  test.each<[string, Record<string, string>, PayloadMode, number | null, string]>([
    ['no Content-Length', {}, unsigned, null, 'MissingContentLength'],
    ['no decoded length', {}, trailing, 9, 'MissingContentLength'],
    [
      'an empty decoded length',
      { 'x-amz-decoded-content-length': '' },
      trailing,
      9,
      'MissingContentLength',
    ],
    [
      'a negative decoded length',
      { 'x-amz-decoded-content-length': '-1' },
      trailing,
      9,
      'MissingContentLength',
    ],
    [
      'a decoded length in hex',
      { 'x-amz-decoded-content-length': '0x9' },
      trailing,
      9,
      'MissingContentLength',
    ],
    [
      'two decoded lengths',
      { 'x-amz-decoded-content-length': '9,9' },
      trailing,
      9,
      'MissingContentLength',
    ],
    [
      'a decoded length beyond all numbers',
      { 'x-amz-decoded-content-length': '9'.repeat(16) },
      trailing,
      9,
      'MissingContentLength',
    ],
    [
      'a decoded length of what is not in chunks',
      { 'x-amz-decoded-content-length': '9' },
      unsigned,
      9,
      'InvalidRequest',
    ],
    ['a short Content-MD5', { 'content-md5': md5(data).slice(4) }, unsigned, 9, 'InvalidDigest'],
    ['an empty Content-MD5', { 'content-md5': '' }, unsigned, 9, 'InvalidDigest'],
    ['a Content-MD5 in hex', { 'content-md5': 'ab'.repeat(16) }, unsigned, 9, 'InvalidDigest'],
    [
      'a Content-MD5 with signs of URLs',
      { 'content-md5': `-_${md5(data).slice(2)}` },
      unsigned,
      9,
      'InvalidDigest',
    ],
    [
      'two Content-MD5',
      { 'content-md5': `${md5(data)},${md5(data)}` },
      unsigned,
      9,
      'InvalidDigest',
    ],
    [
      'trailers that are no checksums',
      { 'x-amz-decoded-content-length': '9', 'x-amz-trailer': 'x-amz-meta-a' },
      trailing,
      9,
      'InvalidRequest',
    ],
    [
      'trailers that can not come',
      { 'x-amz-trailer': 'x-amz-checksum-crc32' },
      unsigned,
      9,
      'InvalidRequest',
    ],
    [
      'an unknown algorithm',
      { 'x-amz-sdk-checksum-algorithm': 'CRC16' },
      unsigned,
      9,
      'InvalidRequest',
    ],
    [
      'two values of a checksum',
      { 'x-amz-checksum-crc32': 'AAAAAA==,AAAAAA==' },
      unsigned,
      9,
      'InvalidRequest',
    ],
  ])('%s', (_, headers, payload, contentLength, code) => {
    expect(headersOf(headers, payload, contentLength)).toThrow(
      expect.objectContaining({ name: 'S3Error', code }),
    )
  })
})

describe('refuses', () => {
  test.each<[string, Upload, string]>([
    [
      'another payload hash',
      { payload: { kind: 'sha256', hex: sha256(other) } },
      'XAmzContentSHA256Mismatch',
    ],
    ['another Content-MD5', { headers: { 'content-md5': md5(other) } }, 'BadDigest'],
    [
      'another Content-MD5 of what is in chunks',
      chunked([], { 'content-md5': md5(other) }),
      'BadDigest',
    ],
    [
      'another payload hash beside a right checksum',
      {
        payload: { kind: 'sha256', hex: sha256(other) },
        headers: { 'x-amz-checksum-sha1': checksumOf('SHA1') },
      },
      'XAmzContentSHA256Mismatch',
    ],
    ['fewer bytes than stated', { contentLength: data.length + 1 }, 'IncompleteBody'],
    ['more bytes than stated', { contentLength: data.length - 1 }, 'IncompleteBody'],
    ['any bytes where none were stated', { contentLength: 0 }, 'IncompleteBody'],
    [
      'fewer bytes in chunks',
      chunked([], { 'x-amz-decoded-content-length': '44' }),
      'IncompleteBody',
    ],
    [
      'more bytes in chunks',
      chunked([], { 'x-amz-decoded-content-length': '42' }),
      'IncompleteBody',
    ],
    ['chunks that nobody framed', { ...chunked([], {}), body: data }, 'IncompleteBody'],
    [
      'chunks that end too early',
      {
        ...chunked([], {}),
        body: frame([data], { signed: false, trailers: null }).subarray(0, -2),
      },
      'IncompleteBody',
    ],
    ['a trailer that is no checksum', chunked(['a:b'], {}), 'InvalidRequest'],
    [
      'wrongly signed chunks',
      {
        ...chunked([], {}),
        payload: { kind: 'aws-chunked', signer: chunkSigner('b'), trailer: false },
        body: frame([data], { signed: true, trailers: null }),
      },
      'SignatureDoesNotMatch',
    ],
  ])('%s', (_, options, code) => {
    expect(refusal(options).code).toBe(code)
  })

  test('and tells both digests', () => {
    expect(refusal({ headers: { 'content-md5': md5(other) } }).fields).toEqual({
      ExpectedDigest: md5(other),
      CalculatedDigest: md5(data),
    })
    expect(refusal({ payload: { kind: 'sha256', hex: sha256(other) } }).fields).toEqual({
      ClientComputedContentSHA256: sha256(other),
      S3ComputedContentSHA256: sha256(data),
    })
  })

  test('bytes beyond the stated length without emitting them', () => {
    const body = new UploadBody({ headers: new Map(), payload: unsigned, contentLength: 3 })
    const emitted: string[] = []
    const push = (text: string) =>
      body.push(Buffer.from(text), (bytes) => emitted.push(bytes.toString()))
    push('ab')
    expect(() => push('cd')).toThrow(S3Error)
    expect(emitted).toEqual(['ab'])
  })
})
