import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { emptySha256, sha256Hex, type SignableRequest } from '../../src/sigv4/canonical.ts'
import { ChunkSigner } from '../../src/sigv4/chunk-signature.ts'
import { signRequest } from '../../src/sigv4/sign.ts'
import { signingKey } from '../../src/sigv4/signing-key.ts'
import { parseFields, verifySignature } from '../../src/sigv4/verify.ts'
import { accessKeyId, secretAccessKey, signingDate } from './smithy.ts'

// The examples of "Authenticating Requests: Using the Authorization Header" and of the pages about
// chunked uploads and query parameters in the Amazon S3 API reference.
const host = 'examplebucket.s3.amazonaws.com'

interface Example {
  readonly name: string
  readonly request: SignableRequest
  readonly payloadHash: string
  readonly signature: string
}

const examples: readonly Example[] = [
  {
    name: 'GET object with a range',
    request: {
      method: 'GET',
      rawPath: '/test.txt',
      rawQuery: '',
      headers: { host, range: 'bytes=0-9' },
    },
    payloadHash: emptySha256,
    signature: 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  },
  {
    name: 'PUT object',
    request: {
      method: 'PUT',
      rawPath: '/test%24file.text',
      rawQuery: '',
      headers: {
        host,
        date: 'Fri, 24 May 2013 00:00:00 GMT',
        'x-amz-storage-class': 'REDUCED_REDUNDANCY',
      },
    },
    payloadHash: sha256Hex('Welcome to Amazon S3.'),
    signature: '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  },
  {
    name: 'GET bucket lifecycle',
    request: { method: 'GET', rawPath: '/', rawQuery: 'lifecycle', headers: { host } },
    payloadHash: emptySha256,
    signature: 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
  },
  {
    name: 'GET bucket (list objects)',
    request: { method: 'GET', rawPath: '/', rawQuery: 'max-keys=2&prefix=J', headers: { host } },
    payloadHash: emptySha256,
    signature: '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  },
  {
    name: 'PUT object in chunks',
    request: {
      method: 'PUT',
      rawPath: '/examplebucket/chunkObject.txt',
      rawQuery: '',
      headers: {
        host: 's3.amazonaws.com',
        'x-amz-storage-class': 'REDUCED_REDUNDANCY',
        'content-encoding': 'aws-chunked',
        'x-amz-decoded-content-length': '66560',
        'content-length': '66824',
      },
    },
    payloadHash: 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
    signature: '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9',
  },
]

test.each(examples)('$name has the signature of the documentation', (example) => {
  const { headers } = signRequest(example.request, {
    accessKeyId,
    secretAccessKey,
    region: 'us-east-1',
    now: signingDate,
    payloadHash: example.payloadHash,
  })
  expect(headers['authorization']).toMatch(
    /^AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE\/20130524\/us-east-1\/s3\/aws4_request, SignedHeaders=[a-z0-9;-]+, Signature=[0-9a-f]{64}$/,
  )
  expect(headers['authorization']?.slice(-64)).toBe(example.signature)
})

test('the presigned URL of the documentation verifies', () => {
  const rawQuery =
    'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request' +
    '&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host' +
    '&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404'
  const request = { method: 'GET', rawPath: '/test.txt', rawQuery, headers: { host } }
  const parsed = parseFields({
    credential: 'AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request',
    signedHeaders: 'host',
    signature: 'aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
  })
  const options = {
    secretAccessKey,
    amzDate: '20130524T000000Z',
    payloadHash: 'UNSIGNED-PAYLOAD',
    omitQuery: 'X-Amz-Signature',
  }
  expect(verifySignature(request, parsed, options)).not.toBeNull()
  const { omitQuery: _, ...withoutOmission } = options
  expect(verifySignature(request, parsed, withoutOmission)).toBeNull()
})

describe('chunk signatures', () => {
  const [large, small] = [65_536, 1024].map((size) =>
    createHash('sha256').update(Buffer.alloc(size, 'a')).digest('hex'),
  )
  const chain = (seedSignature: string) =>
    new ChunkSigner({
      signingKey: signingKey(secretAccessKey, '20130524', 'us-east-1'),
      scope: '20130524/us-east-1/s3/aws4_request',
      amzDate: '20130524T000000Z',
      seedSignature,
    })

  test('are those of the documentation', () => {
    const signer = chain('4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9')
    expect([large, small, emptySha256].map((hash) => signer.sign(hash ?? ''))).toEqual([
      'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648',
      '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497',
      'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9',
    ])
  })

  test('and a trailer signature are those of the documentation', () => {
    const signer = chain('106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e')
    expect([large, small, emptySha256].map((hash) => signer.sign(hash ?? ''))).toEqual([
      'b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2',
      '1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7',
      '2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992',
    ])
    expect(signer.signTrailer(sha256Hex('x-amz-checksum-crc32c:sOO8/Q==\n'))).toBe(
      'd81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435',
    )
  })
})
