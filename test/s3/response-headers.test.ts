import { describe, expect, test } from 'vitest'
import { clientResponseHeaders } from '../../src/s3/response-headers.ts'

const md5 = 'd41d8cd98f00b204e9800998ecf8427e'

function shown(record: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return clientResponseHeaders(new Map(Object.entries(record)))
}

describe('headers to the client', () => {
  test.each([
    // The connection's.
    'connection',
    'date',
    'keep-alive',
    'proxy-authenticate',
    'server',
    'trailer',
    'transfer-encoding',
    'upgrade',
    'via',
    // The stored bytes'.
    'accept-ranges',
    'content-length',
    'content-md5',
    'content-range',
    'digest',
    'x-amz-checksum-crc32',
    'x-amz-checksum-crc64nvme',
    'x-amz-checksum-sha256',
    'x-amz-checksum-type',
    'x-amz-mp-parts-count',
    'x-amz-object-size',
    'x-goog-hash',
    'x-rgw-object-type',
    // The envelope's and the backend's own encryption.
    'x-amz-meta-nebulaio-envelope',
    'x-amz-meta-nebulaio-future',
    'x-amz-server-side-encryption',
    'x-amz-server-side-encryption-aws-kms-key-id',
    'x-amz-server-side-encryption-bucket-key-enabled',
    'x-amz-server-side-encryption-customer-algorithm',
    // What leads past the proxy or belongs to another host.
    'alt-svc',
    'refresh',
    'set-cookie',
    'strict-transport-security',
    'www-authenticate',
    // The backend's name for the request: the client's is the proxy's.
    'x-amz-id-2',
    'x-amz-request-id',
    'x-minio-deployment-id',
    'seaweed-anything',
    'x-seaweedfs-anything',
  ])('%s is not shown', (name) => {
    expect(shown({ [name]: '1' })).toEqual({})
  })

  test('what is true for the plaintext too is shown as it is', () => {
    const kept = {
      'cache-control': 'no-store',
      'content-disposition': 'inline',
      'content-encoding': 'gzip',
      'content-language': 'en',
      'content-type': 'text/plain',
      expires: 'Thu, 01 Jan 2026 00:00:00 GMT',
      'last-modified': 'Thu, 01 Jan 2026 00:00:00 GMT',
      'x-amz-delete-marker': 'true',
      'x-amz-expiration': 'expiry-date="Fri, 02 Jan 2026 00:00:00 GMT", rule-id="a"',
      'x-amz-meta-empty': '',
      'x-amz-meta-name': '\u00c3\u00a9',
      'x-amz-storage-class': 'STANDARD',
      'x-amz-tagging-count': '2',
      'x-amz-version-id': 'v',
    }
    expect(shown(kept)).toEqual(kept)
  })

  test.each([
    [`"${md5}"`, `"${md5}-1"`],
    [`"${md5}-2"`, `"${md5}-2"`],
  ])('the ETag %s is shown as %s', (backend, client) => {
    expect(shown({ etag: backend })).toEqual({ etag: client })
  })

  test.each([
    ['aws-chunked', {}],
    ['aws-chunked,gzip', { 'content-encoding': 'gzip' }],
    ['', {}],
  ])('the stored content-encoding %j is shown as %j', (stored, expected) => {
    expect(shown({ 'content-encoding': stored })).toEqual(expected)
  })

  test.each([
    ['/bucket', { location: '/bucket' }],
    ['http://backend.test/bucket', {}],
    ['//backend.test/bucket', {}],
    ['https:/bucket', {}],
    ['bucket', {}],
    ['', {}],
  ])('the location %j is shown as %j', (location, expected) => {
    expect(shown({ location })).toEqual(expected)
  })
})
