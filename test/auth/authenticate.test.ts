import { describe, expect, test } from 'vitest'
import type { RequestHead } from '../../src/auth/authenticate.ts'
import type { S3ErrorCode } from '../../src/s3/errors.ts'
import {
  accessKeyId,
  authenticated,
  authorization,
  headSignedByDate,
  now,
  refusal,
  secretAccessKey,
  signedHead,
  withHeaders,
  withTarget,
} from './signed-heads.ts'

const minute = 60_000
const hash = 'ab'.repeat(32)

function later(ms: number): Date {
  return new Date(now.getTime() + ms)
}

/** The head with `from` replaced in its Authorization header. */
function rewritten(from: string | RegExp, to: string): RequestHead {
  const head = signedHead()
  const changed = authorization(head).replace(from, to)
  expect(changed).not.toBe(authorization(head))
  return withHeaders(head, { authorization: changed })
}

describe('accepts', () => {
  test('a signed request and tells who sent it', () => {
    expect(authenticated(signedHead()).caller).toEqual({ accessKeyId })
  })

  test('the key of another credential', () => {
    const head = signedHead({ accessKeyId: 'AKIDOTHER', secretAccessKey: 'another secret' })
    expect(authenticated(head).caller).toEqual({ accessKeyId: 'AKIDOTHER' })
  })

  test('the region that most clients have when none is set', () => {
    expect(authenticated(signedHead({ region: 'us-east-1' })).caller).toEqual({ accessKeyId })
  })

  test.each([-15 * minute, -1, 0, 1, 15 * minute])('a clock that is off by %i ms', (ms) => {
    expect(authenticated(signedHead(), later(ms)).caller).toEqual({ accessKeyId })
  })

  test('headers that nobody signed, if they are not x-amz-*', () => {
    const head = withHeaders(signedHead(), { 'user-agent': 'x', 'content-type': 'text/plain' })
    expect(authenticated(head).caller).toEqual({ accessKeyId })
  })

  test.each([
    ['UNSIGNED-PAYLOAD', { kind: 'unsigned' }],
    [hash, { kind: 'sha256', hex: hash }],
    ['STREAMING-UNSIGNED-PAYLOAD-TRAILER', { kind: 'aws-chunked', signer: null, trailer: true }],
  ])('the payload %s', (payloadHash, expected) => {
    expect(authenticated(signedHead({ payloadHash })).payload).toEqual(expected)
  })

  test.each([
    ['STREAMING-AWS4-HMAC-SHA256-PAYLOAD', false],
    ['STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER', true],
  ])('the payload %s, with the chain of its signatures', (payloadHash, trailer) => {
    const { payload } = authenticated(signedHead({ payloadHash }))
    expect(payload).toMatchObject({ kind: 'aws-chunked', trailer, signer: expect.anything() })
  })

  test('a Date header in place of x-amz-date', () => {
    const head = headSignedByDate()
    expect(authenticated(head).caller).toEqual({ accessKeyId })
    expect(refusal(withHeaders(head, { date: later(1000).toUTCString() })).code).toBe(
      'SignatureDoesNotMatch',
    )
    expect(refusal(head, later(16 * minute)).code).toBe('RequestTimeTooSkewed')
  })
})

describe('refuses', () => {
  const head = signedHead({ headers: { 'x-amz-meta-a': 'b', 'content-type': 'text/plain' } })
  const scope = '20260304/eu-central-1/s3/aws4_request'
  const malformed = 'AuthorizationHeaderMalformed'
  const mismatch = 'SignatureDoesNotMatch'

  test.each<[string, RequestHead, S3ErrorCode, number]>([
    ['no signature', withHeaders(head, { authorization: undefined }), 'AccessDenied', 403],
    ['an empty header', withHeaders(head, { authorization: '' }), malformed, 400],
    ['Basic', withHeaders(head, { authorization: 'Basic YTpi' }), malformed, 400],
    ['Bearer', withHeaders(head, { authorization: 'Bearer abc' }), malformed, 400],
    ['SigV2', withHeaders(head, { authorization: 'AWS AKID:c2ln' }), 'InvalidRequest', 400],
    [
      'SigV2 in the query',
      withTarget(head, '/bucket/key?AWSAccessKeyId=a&Expires=1&Signature=b'),
      'InvalidRequest',
      400,
    ],
    ['SigV4A', rewritten('AWS4-HMAC-SHA256', 'AWS4-ECDSA-P256-SHA256'), malformed, 400],
    [
      'two headers',
      withHeaders(head, { authorization: `${authorization(head)},${authorization(head)}` }),
      malformed,
      400,
    ],
    [
      'a header and a presigned URL',
      withTarget(head, '/bucket/key?X-Amz-Algorithm=AWS4-HMAC-SHA256'),
      'InvalidArgument',
      400,
    ],
    ['no credential', rewritten(/Credential=[^,]*, /, ''), malformed, 400],
    ['a bad credential', rewritten(scope, 'eu-central-1/s3'), malformed, 400],
    ['no signed headers', rewritten(/SignedHeaders=[^,]*, /, ''), malformed, 400],
    ['a short signature', rewritten(/.$/, ''), malformed, 400],
    ['another service', rewritten('/s3/', '/iam/'), malformed, 400],
    ['another region', signedHead({ region: 'eu-central-2' }), malformed, 400],
    ['a region in upper case', signedHead({ region: 'EU-CENTRAL-1' }), malformed, 400],
    ['a region that another was signed for', rewritten('eu-central-1', 'us-east-1'), mismatch, 403],
    ['another day in the scope', rewritten('20260304/', '20260303/'), malformed, 400],
    ['no time', withHeaders(head, { 'x-amz-date': undefined }), 'AccessDenied', 403],
    ['a time that is not one', withHeaders(head, { 'x-amz-date': 'now' }), 'AccessDenied', 403],
    [
      'a time with separators',
      withHeaders(head, { 'x-amz-date': now.toISOString() }),
      'AccessDenied',
      403,
    ],
    [
      'a time in month 13',
      withHeaders(head, { 'x-amz-date': '20261304T050607Z' }),
      'AccessDenied',
      403,
    ],
    [
      'a Date that is not one',
      withHeaders(head, { 'x-amz-date': undefined, date: 'x' }),
      'AccessDenied',
      403,
    ],
    ['another time', withHeaders(head, { 'x-amz-date': '20260304T050608Z' }), mismatch, 403],
    [
      'an old request',
      signedHead({ now: later(-15 * minute - 1000) }),
      'RequestTimeTooSkewed',
      403,
    ],
    [
      'a request of the future',
      signedHead({ now: later(15 * minute + 1000) }),
      'RequestTimeTooSkewed',
      403,
    ],
    ['an unknown key', signedHead({ accessKeyId: 'AKIDNOBODY' }), 'InvalidAccessKeyId', 403],
    [
      'an unknown key with the secret that stands in for it',
      signedHead({ accessKeyId: 'AKIDNOBODY', secretAccessKey: 'unknown' }),
      'InvalidAccessKeyId',
      403,
    ],
    ['a key in lower case', signedHead({ accessKeyId: 'akidexample' }), 'InvalidAccessKeyId', 403],
    ['the secret of another key', signedHead({ secretAccessKey: 'another secret' }), mismatch, 403],
    ['an empty secret', signedHead({ secretAccessKey: '' }), mismatch, 403],
    [
      'no payload hash',
      withHeaders(head, { 'x-amz-content-sha256': undefined }),
      'MissingSecurityHeader',
      400,
    ],
    ['another payload hash', withHeaders(head, { 'x-amz-content-sha256': hash }), mismatch, 403],
    ['an unsigned host', rewritten('=host;', '='), 'AccessDenied', 403],
    [
      'an unsigned x-amz-* header',
      withHeaders(head, { 'x-amz-acl': 'public-read' }),
      'AccessDenied',
      403,
    ],
    ['an unsigned x-amz-date', rewritten(';x-amz-date', ''), 'AccessDenied', 403],
    [
      'a signed header that is missing',
      withHeaders(head, { 'content-type': undefined }),
      mismatch,
      403,
    ],
    [
      'a signed header with another value',
      withHeaders(head, { 'x-amz-meta-a': 'c' }),
      mismatch,
      403,
    ],
    [
      'a signed name of a property of all objects',
      rewritten('SignedHeaders=', 'SignedHeaders=constructor;__proto__;'),
      mismatch,
      403,
    ],
    ['another host', withHeaders(head, { host: 'evil.example' }), mismatch, 403],
    ['no host', withHeaders(head, { host: undefined }), mismatch, 403],
    ['another method', { ...head, method: 'DELETE' }, mismatch, 403],
    ['another key', withTarget(head, '/bucket/other?versionId=1'), mismatch, 403],
    ['another bucket', withTarget(head, '/buckets/key?versionId=1'), mismatch, 403],
    ['another query', withTarget(head, '/bucket/key?versionId=2'), mismatch, 403],
    ['no query', withTarget(head, '/bucket/key'), mismatch, 403],
    ['a further parameter', withTarget(head, '/bucket/key?versionId=1&acl'), mismatch, 403],
    [
      'a signature in the query beside the header',
      withTarget(head, '/bucket/key?versionId=1&X-Amz-Signature=a'),
      mismatch,
      403,
    ],
  ])('%s', (_, wrong, code, status) => {
    const { code: actual, status: actualStatus } = refusal(wrong)
    expect([actual, actualStatus]).toEqual([code, status])
  })

  test.each([
    '',
    'E'.repeat(64),
    'ab',
    `${hash}00`,
    ` ${hash}`,
    'unsigned-payload',
    'STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD',
    'STREAMING-UNSIGNED-PAYLOAD',
  ])('the content hash %j', (payloadHash) => {
    expect(refusal(signedHead({ payloadHash })).code).toBe('InvalidArgument')
  })

  test('each flipped bit of the signature', () => {
    const good = authorization(head)
    const signature = Buffer.from(good.slice(-64), 'hex')
    for (let bit = 0; bit < 256; bit += 1) {
      const flipped = Buffer.from(signature)
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      const wrong = `${good.slice(0, -64)}${flipped.toString('hex')}`
      const { code } = refusal(withHeaders(head, { authorization: wrong }))
      expect(code, `bit ${bit}`).toBe(mismatch)
    }
  })

  test('and names the headers that were not signed, once each', () => {
    const wrong = withHeaders(rewritten('=host;', '='), { 'x-amz-acl': 'private', 'x-a': 'b' })
    expect(refusal(wrong).fields).toEqual({ HeadersNotSigned: 'host, x-amz-acl' })
  })

  test('a wrong region and tells the right one', () => {
    expect(refusal(signedHead({ region: 'mars' })).fields).toEqual({ Region: 'eu-central-1' })
  })

  test('without telling secrets or the right signature', () => {
    const refused = refusal(signedHead({ secretAccessKey: 'another secret' }))
    const text = [refused.message, refused.stack, JSON.stringify(refused)].join()
    expect(text).not.toContain(secretAccessKey)
    expect(text).not.toContain(authorization(signedHead()).slice(-64))
  })
})
