import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { S3Error } from '../../src/s3/errors.ts'
import { operationTable, route } from '../../src/s3/operations.ts'
import { readHoistedHeaders } from '../../src/s3/hoisted-headers.ts'
import { parseTarget } from '../../src/s3/target.ts'
import { modelOperations } from '../support/s3-model.ts'

/** The operation's name, or the code of the refusal. */
function routed(
  method: string,
  rawTarget: string,
  headers: Readonly<Record<string, string>> | ReadonlyMap<string, string> = {},
): string {
  const target = parseTarget(rawTarget, { host: 'proxy.test', virtualHostDomains: [] })
  const sent = new Map(headers instanceof Map ? headers : Object.entries(headers))
  try {
    return route({ method, ...readHoistedHeaders({ target, headers: sent }) })
  } catch (error) {
    if (error instanceof S3Error) return error.code
    throw error
  }
}

const copySource = { 'x-amz-copy-source': '/bucket/source' }
const presigned =
  'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a&X-Amz-Date=d&X-Amz-Expires=9&X-Amz-SignedHeaders=host&X-Amz-Signature=s'

const examples: readonly [string, string, string, Record<string, string>?][] = [
  ['ListBuckets', 'GET', '/'],
  ['CreateBucket', 'PUT', '/bucket'],
  ['HeadBucket', 'HEAD', '/bucket/'],
  ['DeleteBucket', 'DELETE', '/bucket'],
  ['GetBucketLocation', 'GET', '/bucket?location'],
  ['GetBucketVersioning', 'GET', '/bucket?versioning'],
  ['PutBucketVersioning', 'PUT', '/bucket?versioning'],
  ['ListObjects', 'GET', '/bucket?prefix=a&delimiter=/&marker=m&max-keys=5&encoding-type=url'],
  ['ListObjectsV2', 'GET', '/bucket?list-type=2&prefix=a&continuation-token=t&start-after=s'],
  ['ListObjectVersions', 'GET', '/bucket?versions&key-marker=k&version-id-marker=v'],
  ['ListMultipartUploads', 'GET', '/bucket?uploads&upload-id-marker=u'],
  ['DeleteObjects', 'POST', '/bucket?delete'],
  ['PutObject', 'PUT', '/bucket/key', { 'x-amz-meta-name': 'value', 'if-none-match': '*' }],
  ['CopyObject', 'PUT', '/bucket/key', copySource],
  ['GetObject', 'GET', '/bucket/key?versionId=v&partNumber=1&response-content-type=a/b'],
  ['HeadObject', 'HEAD', '/bucket/key?partNumber=1'],
  ['DeleteObject', 'DELETE', '/bucket/key?versionId=v'],
  ['GetObjectAcl', 'GET', '/bucket/key?acl'],
  ['PutObjectAcl', 'PUT', '/bucket/key?acl', { 'x-amz-acl': 'private' }],
  ['GetObjectTagging', 'GET', '/bucket/key?tagging&versionId=v'],
  ['PutObjectTagging', 'PUT', '/bucket/key?tagging'],
  ['DeleteObjectTagging', 'DELETE', '/bucket/key?tagging'],
  ['CreateMultipartUpload', 'POST', '/bucket/key?uploads'],
  ['UploadPart', 'PUT', '/bucket/key?partNumber=1&uploadId=u'],
  ['UploadPartCopy', 'PUT', '/bucket/key?uploadId=u&partNumber=1', copySource],
  ['ListParts', 'GET', '/bucket/key?uploadId=u&max-parts=5&part-number-marker=1'],
  ['CompleteMultipartUpload', 'POST', '/bucket/key?uploadId=u'],
  ['AbortMultipartUpload', 'DELETE', '/bucket/key?uploadId=u'],
]

describe('routing', () => {
  test.each(examples)('%s is %s %s', (name, method, rawTarget, headers = {}) => {
    expect(routed(method, rawTarget, headers)).toBe(name)
  })

  test('there is an example of every operation', () => {
    expect(examples.map(([name]) => name).toSorted()).toEqual(
      operationTable.map(({ name }) => name).toSorted(),
    )
  })

  test.each([
    ['a sub-resource of objects', 'GET', '/bucket/key?torrent'],
    ['one of newer date', 'PUT', '/bucket/key?renameObject'],
    ['one that nobody knows', 'PUT', '/bucket/key?quux'],
    ['one in another case', 'GET', '/bucket/key?ACL'],
    ['one hidden by encoding', 'PUT', '/bucket/key?%72etention'],
    ['one beside a known one', 'PUT', '/bucket/key?tagging&acl'],
    ['one behind a semicolon', 'PUT', '/bucket/key?versionId=1;acl'],
    ['a sub-resource of buckets on an object', 'GET', '/bucket/key?versioning'],
    ['a sub-resource of objects on a bucket', 'PUT', '/bucket?tagging'],
    ['a bucket sub-resource of its own', 'PUT', '/bucket?policy'],
    ['the attributes', 'GET', '/bucket/key?attributes'],
    ['a part without its upload', 'PUT', '/bucket/key?partNumber=1'],
    ['a part of nothing', 'PUT', '/bucket/key?uploadId=u'],
    ['a part that is posted', 'POST', '/bucket/key?partNumber=1&uploadId=u'],
    ['a part with a version', 'PUT', '/bucket/key?partNumber=1&uploadId=u&versionId=v'],
    ['a version that is put', 'PUT', '/bucket/key?versionId=v'],
    ['an upload and its parts', 'GET', '/bucket/key?uploads&uploadId=u'],
    ['a form', 'POST', '/bucket'],
    ['a post to an object', 'POST', '/bucket/key'],
    ['a list of another type', 'GET', '/bucket?list-type=1'],
    ['a list type without a value', 'GET', '/bucket?list-type'],
    ['a marker in V2', 'GET', '/bucket?list-type=2&marker=a'],
    ['HEAD of the service', 'HEAD', '/'],
    ['PUT of the service', 'PUT', '/'],
    ['HEAD of a sub-resource', 'HEAD', '/bucket/key?acl'],
    ['a parameter of headers without presigning', 'PUT', '/bucket/key?x-amz-acl=private'],
    ['a signature in lower case', 'GET', '/bucket/key?x-amz-signature=s'],
    ['an operation under a wrong name', 'GET', '/bucket/key?x-id=HeadObject'],
    ['a directory list', 'GET', '/?x-id=ListDirectoryBuckets'],
    ['a copy under the name of a write', 'PUT', '/bucket/key?x-id=CopyObject'],
  ])('%s is NotImplemented', (_, method, rawTarget) => {
    expect(routed(method, rawTarget)).toBe('NotImplemented')
  })

  test.each([
    ['GET', '/bucket/key'],
    ['DELETE', '/bucket/key'],
    ['PUT', '/bucket'],
    ['PUT', '/bucket/key?tagging'],
    ['POST', '/bucket/key?uploads'],
    ['POST', '/bucket/key?uploadId=u'],
  ])('a copy source on %s %s is NotImplemented', (method, rawTarget) => {
    expect(routed(method, rawTarget, copySource)).toBe('NotImplemented')
  })

  test.each([
    'x-amz-server-side-encryption-customer-algorithm',
    'x-amz-server-side-encryption-customer-key',
    'x-amz-copy-source-server-side-encryption-customer-key',
    'x-amz-write-offset-bytes',
    'x-amz-rename-source',
    'x-amz-annotation-directive',
    'x-amz-if-match-size',
    'x-amz-object-attributes',
    'x-amz-checksum-crc128',
    'x-amz-checksum-sha256-2',
    'x-amz-acl2',
    'x-amz-meta-',
    'x-amz-',
    'x-amz-new',
  ])('the header %s is NotImplemented', (name) => {
    expect(routed('PUT', '/bucket/key', { [name]: '1' })).toBe('NotImplemented')
  })

  test.each(['OPTIONS', 'PATCH', 'TRACE', 'CONNECT', 'COPY', 'get', ''])(
    'the method %j is not allowed',
    (method) => {
      expect(routed(method, '/bucket/key')).toBe('MethodNotAllowed')
    },
  )

  test.each([
    '/bucket/key?versionId=a&versionId=b',
    '/bucket/key?versionId=a&version%49d=a',
    '/bucket?list-type=2&list-type=1',
  ])('%s has a parameter twice and is refused', (rawTarget) => {
    expect(routed('GET', rawTarget)).toBe('InvalidArgument')
  })
})

describe('presigned URLs', () => {
  test.each([
    ['GET', '', 'GetObject'],
    ['GET', '&x-id=GetObject&x-amz-checksum-mode=ENABLED', 'GetObject'],
    ['PUT', '&x-id=PutObject&x-amz-acl=private&x-amz-meta-a=b', 'PutObject'],
    ['PUT', '&X-Amz-Security-Token=t&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD', 'PutObject'],
    ['PUT', '&X-Amz-Copy-Source=bucket%2Fsource', 'CopyObject'],
    ['PUT', '&partNumber=1&uploadId=u&x-amz-checksum-crc32=AAAAAA%3D%3D', 'UploadPart'],
    ['PUT', '&x-amz-write-offset-bytes=5', 'NotImplemented'],
    ['PUT', '&x-amz-server-side-encryption-customer-key=k', 'NotImplemented'],
    ['GET', '&torrent', 'NotImplemented'],
    ['GET', '&x-id=PutObject', 'NotImplemented'],
    ['PUT', '&x-amz-meta-a=b%0D%0Aevil:%201', 'InvalidArgument'],
    ['PUT', '&x-amz-meta-a=%00', 'InvalidArgument'],
    ['PUT', '&x-amz-meta-a%20b=c', 'NotImplemented'],
    ['PUT', '&x-amz-meta-%C3%A9=c', 'NotImplemented'],
    ['PUT', '&x-amz-meta-a=b&X-Amz-Meta-A=c', 'InvalidArgument'],
  ])('%s with %j is %s', (method, query, expected) => {
    expect(routed(method, `/bucket/key?${presigned}${query}`)).toBe(expected)
  })

  test('a header in the URL has the bytes that it would have on the wire', () => {
    const target = parseTarget(`/bucket/key?${presigned}&X-Amz-Meta-A=%C3%A9+b`, {
      host: 'proxy.test',
      virtualHostDomains: [],
    })
    const { headers } = readHoistedHeaders({ target, headers: new Map() })
    expect(headers.get('x-amz-meta-a')).toBe('\u00c3\u00a9 b')
  })

  test('a header that the URL has too is refused', () => {
    const rawTarget = `/bucket/key?${presigned}&x-amz-acl=private`
    expect(routed('PUT', rawTarget)).toBe('PutObject')
    expect(routed('PUT', rawTarget, { 'x-amz-acl': 'public-read' })).toBe('InvalidArgument')
    expect(routed('PUT', rawTarget, { 'x-amz-acl': 'private' })).toBe('InvalidArgument')
  })
})

describe('the S3 model of the AWS SDK', () => {
  test('is as large as ever', () => {
    expect(modelOperations.length).toBeGreaterThan(100)
    expect(modelOperations.flatMap(({ variants }) => variants).length).toBeGreaterThan(350)
  })

  test('knows every operation of ours', () => {
    const names = new Set(modelOperations.map(({ name }) => name))
    expect(operationTable.filter(({ name }) => !names.has(name))).toEqual([])
  })

  const ours: ReadonlySet<string> = new Set(operationTable.map(({ name }) => name))

  test.each(modelOperations)('$name is what it is or refused', ({ name, minimal, variants }) => {
    const { method, rawTarget, headers } = minimal
    // The model gives list-type=2, x-id and so on in the path itself.
    expect(routed(method, rawTarget, headers)).toBe(ours.has(name) ? name : 'NotImplemented')
    const others = variants
      .map((variant) => routed(variant.method, variant.rawTarget, variant.headers))
      .filter((result) => result !== name && result !== 'NotImplemented')
    expect(others).toEqual([])
  })

  test('no foreign parameter turns one operation into another', () => {
    const queries = modelOperations.flatMap(({ minimal, variants }) =>
      [minimal, ...variants].map(({ rawTarget }) => rawTarget.split('?')[1] ?? ''),
    )
    const requests = fc.record({
      operation: fc.constantFrom(...modelOperations),
      query: fc.constantFrom(...queries),
    })
    fc.assert(
      fc.property(requests, ({ operation: { minimal }, query }) => {
        const { method, rawTarget, headers } = minimal
        const extended = `${rawTarget}${rawTarget.includes('?') ? '&' : '?'}${query}`
        const result = routed(method, extended, headers)
        const row = operationTable.find((candidate) => candidate.name === result)
        const known = new Set<string>([...(row?.requires ?? []), ...(row?.allows ?? []), 'x-id'])
        const names = parseTarget(extended, { host: undefined, virtualHostDomains: [] }).query
        // Whatever is accepted knows every parameter and is of the same method.
        expect(row === undefined || row.method === method).toBe(true)
        expect(row === undefined || names.every((parameter) => known.has(parameter.name))).toBe(
          true,
        )
        expect(row !== undefined || /^(NotImplemented|InvalidArgument)$/.test(result)).toBe(true)
      }),
      { numRuns: process.env['SLOW'] ? 100_000 : 2000 },
    )
  })
})
