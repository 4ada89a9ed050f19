import { GetObjectCommand, PutObjectCommand, S3Client, UploadPartCommand } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { describe, expect, test } from 'vitest'
import { S3Error } from '../../src/s3/errors.ts'
import { readHoistedHeaders } from '../../src/s3/hoisted-headers.ts'
import { route } from '../../src/s3/operations.ts'
import { parseTarget } from '../../src/s3/target.ts'

const host = 'proxy.example:9000'
const presigned = 'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=a&X-Amz-Signature=b&x-id=PutObject'

function read(rawTarget: string, headers: Readonly<Record<string, string>> = {}) {
  const target = parseTarget(rawTarget, { host, virtualHostDomains: [] })
  return readHoistedHeaders({ target, headers: new Map(Object.entries(headers)) })
}

describe('of a presigned URL', () => {
  test.each<[string, string, Readonly<Record<string, string>>]>([
    ['nothing', '', {}],
    ['metadata', '&x-amz-meta-a=b%20c', { 'x-amz-meta-a': 'b c' }],
    ['names in capitals', '&X-Amz-Storage-Class=STANDARD', { 'x-amz-storage-class': 'STANDARD' }],
    ['UTF-8', '&x-amz-meta-a=voil%C3%A0', { 'x-amz-meta-a': 'voil\u00c3\u00a0' }],
    ['an empty value', '&x-amz-meta-a', { 'x-amz-meta-a': '' }],
    ['a checksum mode', '&x-amz-checksum-mode=ENABLED', { 'x-amz-checksum-mode': 'ENABLED' }],
    [
      'a checksum',
      '&x-amz-checksum-crc32=AAAAAQ%3D%3D&x-amz-sdk-checksum-algorithm=CRC32',
      { 'x-amz-checksum-crc32': 'AAAAAQ==' },
    ],
    [
      'the CRC32 of nothing',
      '&x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32',
      {},
    ],
    [
      'the SHA-256 of nothing',
      '&x-amz-checksum-sha256=47DEQpj8HBSa%2B%2FTImW%2B5JCeuQeRkm5NMpJWZG3hSuFU%3D',
      {},
    ],
  ])('%s becomes headers', (_, query, expected) => {
    const { target, headers } = read(`/bucket/key?${presigned}${query}`, { host })
    expect(Object.fromEntries(headers)).toEqual({ host, ...expected })
    expect(route({ method: 'PUT', target, headers })).toBe('PutObject')
  })

  test.each<[string, string]>([
    ['CR LF', '&x-amz-meta-a=b%0D%0Ax-amz-acl:public-read'],
    ['NUL', '&x-amz-meta-a=%00'],
    ['DEL', '&x-amz-meta-a=%7F'],
    ['a name twice', '&x-amz-meta-a=b&x-amz-meta-a=b'],
    ['a name twice in another case', '&x-amz-meta-a=b&X-Amz-Meta-A=b'],
    ['a header that is there', '&x-amz-acl=private'],
  ])('%s is refused', (_, query) => {
    expect(() => read(`/bucket/key?${presigned}${query}`, { 'x-amz-acl': 'private' })).toThrow(
      expect.objectContaining({ name: 'S3Error', code: 'InvalidArgument' }),
    )
  })

  test.each([
    'x-amz-meta-a%20b=c',
    'x-amz-meta-a%0D%0A=c',
    'x-amz-meta-a:=c',
    'x-amz-=c',
    'host=c',
  ])('the parameter %s stays one and is refused as such', (parameter) => {
    const { target, headers } = read(`/bucket/key?${presigned}&${parameter}`)
    expect(headers.size).toBe(0)
    expect(() => route({ method: 'PUT', target, headers })).toThrow(S3Error)
  })
})

test('of another request nothing becomes headers', () => {
  const { target, headers } = read('/bucket/key?x-amz-acl=public-read')
  expect(headers.size).toBe(0)
  expect(() => route({ method: 'PUT', target, headers })).toThrow(S3Error)
})

describe('URLs of the AWS SDK as it presigns them by default', () => {
  const client = new S3Client({
    region: 'us-east-1',
    endpoint: `http://${host}`,
    forcePathStyle: true,
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
  })
  const object = { Bucket: 'bucket', Key: 'key' }
  const pathOf = (url: string): string => url.slice(`http://${host}`.length)

  test('are a GetObject', async () => {
    const url = await getSignedUrl(client, new GetObjectCommand(object))
    const { target, headers } = read(pathOf(url))
    expect(route({ method: 'GET', target, headers })).toBe('GetObject')
    expect(Object.fromEntries(headers)).toEqual({ 'x-amz-checksum-mode': 'ENABLED' })
  })

  test('are a PutObject with its metadata', async () => {
    const command = new PutObjectCommand({
      ...object,
      Metadata: { a: 'b' },
      StorageClass: 'STANDARD',
    })
    const { target, headers } = read(pathOf(await getSignedUrl(client, command)))
    expect(route({ method: 'PUT', target, headers })).toBe('PutObject')
    expect(Object.fromEntries(headers)).toEqual({
      'x-amz-meta-a': 'b',
      'x-amz-storage-class': 'STANDARD',
    })
  })

  test('are an UploadPart', async () => {
    const command = new UploadPartCommand({ ...object, UploadId: 'a', PartNumber: 1 })
    const { target, headers } = read(pathOf(await getSignedUrl(client, command)))
    expect(route({ method: 'PUT', target, headers })).toBe('UploadPart')
    expect(headers.size).toBe(0)
  })
})
