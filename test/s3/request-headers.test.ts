import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { headerMap, type HeaderMap, type HeaderRecord } from '../../src/s3/headers.ts'
import {
  conditionalHeaders,
  contentHeaders,
  forwardedHeaders,
  objectReadHeaders,
  objectWriteHeaders,
  withoutAwsChunked,
} from '../../src/s3/request-headers.ts'
import { modelOperations } from '../support/s3-model.ts'

const selections: Readonly<Record<string, (headers: HeaderMap) => HeaderRecord>> = {
  contentHeaders,
  conditionalHeaders,
  objectWriteHeaders,
  objectReadHeaders,
  forwardedHeaders,
}

/** What must never reach the backend, whatever the operation. */
const own = [
  'authorization',
  'connection',
  'content-length',
  'content-md5',
  'cookie',
  'date',
  'expect',
  'host',
  'if-range',
  'keep-alive',
  'origin',
  'proxy-authorization',
  'range',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'user-agent',
  'x-forwarded-for',
  'x-http-method-override',
  'x-amz-checksum-algorithm',
  'x-amz-checksum-crc32',
  'x-amz-checksum-crc32c',
  'x-amz-checksum-crc64nvme',
  'x-amz-checksum-mode',
  'x-amz-checksum-sha1',
  'x-amz-checksum-sha256',
  'x-amz-checksum-type',
  'x-amz-content-sha256',
  'x-amz-copy-source',
  'x-amz-copy-source-if-match',
  'x-amz-copy-source-range',
  'x-amz-date',
  'x-amz-decoded-content-length',
  'x-amz-metadata-directive',
  'x-amz-mp-object-size',
  'x-amz-sdk-checksum-algorithm',
  'x-amz-security-token',
  'x-amz-server-side-encryption',
  'x-amz-server-side-encryption-aws-kms-key-id',
  'x-amz-server-side-encryption-bucket-key-enabled',
  'x-amz-server-side-encryption-context',
  'x-amz-server-side-encryption-customer-algorithm',
  'x-amz-server-side-encryption-customer-key',
  'x-amz-server-side-encryption-customer-key-md5',
  'x-amz-tagging-directive',
  'x-amz-trailer',
  'x-amz-user-agent',
]

const written = {
  'cache-control': 'no-store',
  'content-disposition': 'inline',
  'content-language': 'en',
  'content-type': 'text/plain',
  expires: 'Thu, 01 Jan 2026 00:00:00 GMT',
  'x-amz-acl': 'private',
  'x-amz-grant-read': 'id=1',
  'x-amz-meta-name': 'value',
  'x-amz-meta-empty': '',
  'x-amz-object-lock-mode': 'GOVERNANCE',
  'x-amz-storage-class': 'STANDARD',
  'x-amz-tagging': 'a=b',
  'x-amz-website-redirect-location': '/a',
  'x-amz-expected-bucket-owner': '123456789012',
}

function map(record: Readonly<Record<string, string>>): HeaderMap {
  return new Map(Object.entries(record))
}

describe('headers to the backend', () => {
  test.each(own)('%s never goes along', (name) => {
    for (const select of Object.values(selections)) {
      expect(select(map({ [name]: '1' }))).toEqual({})
    }
  })

  test('what belongs to an object goes along with a write', () => {
    expect(objectWriteHeaders(map({ ...written, range: 'bytes=0-1', host: 'a' }))).toEqual(written)
  })

  test('what an object keeps is what copies take along', () => {
    const { 'x-amz-meta-name': name, 'content-type': type, expires } = written
    expect(
      contentHeaders(
        map({
          'content-type': type,
          expires,
          'x-amz-meta-name': name,
          'x-amz-meta-nebulaio-envelope': 'v=1',
          'x-amz-storage-class': 'STANDARD',
          'x-amz-tagging-count': '1',
          etag: '"a"',
          'content-length': '5',
        }),
      ),
    ).toEqual({ 'content-type': type, expires, 'x-amz-meta-name': name })
  })

  test('a read takes conditions and its payer along and nothing else', () => {
    const read = {
      'if-match': '"a"',
      'if-none-match': '"b"',
      'if-modified-since': 'Thu, 01 Jan 2026 00:00:00 GMT',
      'if-unmodified-since': 'Thu, 01 Jan 2026 00:00:00 GMT',
      'x-amz-request-payer': 'requester',
      'x-amz-expected-bucket-owner': '123456789012',
    }
    expect(objectReadHeaders(map({ ...written, ...read }))).toEqual(read)
  })

  test("conditions are on the backend's ETags", () => {
    const headers = map({ 'if-match': '"a-1", "b-2"', 'if-none-match': '*' })
    const expected = { 'if-match': '"a", "b-2"', 'if-none-match': '*' }
    for (const select of [conditionalHeaders, objectWriteHeaders, objectReadHeaders]) {
      expect(select(headers)).toEqual(expected)
    }
  })

  test.each([
    'x-amz-meta-nebulaio-envelope',
    'x-amz-meta-nebulaio-',
    'x-amz-meta-nebulaio-anything',
  ])('a client can not write %s', (name) => {
    expect(() => objectWriteHeaders(map({ [name]: 'v=1' }))).toThrow(
      expect.objectContaining({ code: 'InvalidArgument' }),
    )
    expect(contentHeaders(map({ [name]: 'v=1' }))).toEqual({})
    expect(forwardedHeaders(map({ [name]: 'v=1' }))).toEqual({})
  })

  test('metadata that only resembles ours is the client’s', () => {
    const headers = { 'x-amz-meta-nebulaio': '1', 'x-amz-meta-x-nebulaio-envelope': '2' }
    expect(objectWriteHeaders(map(headers))).toEqual(headers)
  })

  test('no header of the S3 model slips through that describes a body or a key', () => {
    const names = modelOperations.flatMap(({ minimal, variants }) =>
      [minimal, ...variants].flatMap(({ headers }) => [...headers.keys()]),
    )
    const telling = /checksum|md5|sha256|content-length|server-side|customer|copy-source|trailer/
    const leaked = Object.values(selections).flatMap((select) =>
      Object.keys(select(new Map(names.map((name) => [name, '1'])))),
    )
    expect(leaked.filter((name) => telling.test(name))).toEqual([])
    expect(leaked).toContain('x-amz-storage-class')
  })

  test.each([
    ['aws-chunked', ''],
    ['AWS-Chunked', ''],
    ['aws-chunked,gzip', 'gzip'],
    ['gzip, aws-chunked', 'gzip'],
    ['aws-chunked, aws-chunked', ''],
    ['gzip,br', 'gzip,br'],
    ['gzip', 'gzip'],
    [' , gzip, ', 'gzip'],
    ['aws-chunked2', 'aws-chunked2'],
    ['', ''],
  ])('content-encoding %j is stored as %j', (sent, kept) => {
    expect(withoutAwsChunked(sent)).toBe(kept)
    expect(objectWriteHeaders(map({ 'content-encoding': sent }))).toEqual(
      kept === '' ? {} : { 'content-encoding': kept },
    )
  })
})

describe('header map', () => {
  test('names become lower case, equal ones are joined in their order', () => {
    const headers = headerMap(['Host', 'a', 'X-Amz-Meta-A', '1', 'x-amz-meta-a', '2', 'Empty', ''])
    expect([...headers]).toEqual([
      ['host', 'a'],
      ['x-amz-meta-a', '1,2'],
      ['empty', ''],
    ])
  })

  test('every name of the list is in the map', () => {
    const name = fc.stringMatching(/^[A-Za-z-]{1,8}$/)
    fc.assert(
      fc.property(fc.array(fc.tuple(name, fc.string()), { maxLength: 8 }), (lines) => {
        const headers = headerMap(lines.flat())
        const names = lines.map(([line]) => line.toLowerCase())
        expect([...headers.keys()]).toEqual([...new Set(names)])
      }),
      { numRuns: process.env['SLOW'] ? 5000 : 100 },
    )
  })
})
