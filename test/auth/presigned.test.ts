import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { describe, expect, test } from 'vitest'
import type { RequestHead } from '../../src/auth/authenticate.ts'
import type { S3ErrorCode } from '../../src/s3/errors.ts'
import { parseTarget } from '../../src/s3/target.ts'
import { wire } from '../sigv4/smithy.ts'
import {
  accessKeyId,
  authenticated,
  host,
  now,
  presignedHead,
  refusal,
  region,
  secretAccessKey,
  withHeaders,
  withTarget,
  type PresignOptions,
} from './signed-heads.ts'

const hash = 'ab'.repeat(32)

function later(seconds: number): Date {
  return new Date(now.getTime() + seconds * 1000)
}

function targetText({ target }: RequestHead): string {
  return `${target.rawPath}?${target.rawQuery}`
}

describe('accepts a presigned URL', () => {
  test.each([0, 1, 59, 60])('%i seconds after it was signed for 60', (seconds) => {
    expect(authenticated(presignedHead(), later(seconds)).caller).toEqual({ accessKeyId })
  })

  test('of a clock that is 15 minutes ahead', () => {
    expect(authenticated(presignedHead(), later(-900)).caller).toEqual({ accessKeyId })
  })

  test.each(['1', '604800', '000060'])('that is valid for %s seconds', (expires) => {
    const head = presignedHead({ query: { 'X-Amz-Expires': expires } })
    expect(authenticated(head).caller).toEqual({ accessKeyId })
  })

  test.each<[string, PresignOptions, object]>([
    ['nothing about its payload', {}, { kind: 'unsigned' }],
    [
      'a payload hash in the query',
      { query: { 'X-Amz-Content-Sha256': hash }, payloadHash: hash },
      { kind: 'sha256', hex: hash },
    ],
    [
      'a payload hash in a header',
      { headers: { 'x-amz-content-sha256': hash }, payloadHash: hash },
      { kind: 'sha256', hex: hash },
    ],
  ])('with %s', (_, options, payload) => {
    expect(authenticated(presignedHead(options)).payload).toEqual(payload)
  })

  test('with signed headers', () => {
    const head = presignedHead({
      headers: { 'x-amz-acl': 'private' },
      signedHeaders: ['host', 'x-amz-acl'],
    })
    expect(authenticated(head).caller).toEqual({ accessKeyId })
    expect(refusal(withHeaders(head, { 'x-amz-acl': 'public-read' })).code).toBe(
      'SignatureDoesNotMatch',
    )
  })
})

describe('refuses a presigned URL with', () => {
  const query = 'AuthorizationQueryParametersError'
  const scope = '20260304/eu-central-1/s3/aws4_request'

  test.each<[string, PresignOptions, S3ErrorCode, number]>([
    ['another algorithm', { query: { 'X-Amz-Algorithm': 'AWS4-ECDSA-P256-SHA256' } }, query, 400],
    ['an empty algorithm', { query: { 'X-Amz-Algorithm': '' } }, query, 400],
    ['no algorithm', { query: { 'X-Amz-Algorithm': undefined } }, 'AccessDenied', 403],
    ['no credential', { query: { 'X-Amz-Credential': undefined } }, query, 400],
    ['a bad credential', { query: { 'X-Amz-Credential': accessKeyId } }, query, 400],
    [
      'another service',
      { query: { 'X-Amz-Credential': `a/${scope.replace('s3', 'sts')}` } },
      query,
      400,
    ],
    [
      'another region',
      { query: { 'X-Amz-Credential': `${accessKeyId}/${scope.replace('eu', 'us')}` } },
      query,
      400,
    ],
    [
      'another day in its scope',
      { query: { 'X-Amz-Credential': `${accessKeyId}/${scope.replace('04/', '05/')}` } },
      query,
      400,
    ],
    [
      'an unknown key',
      { query: { 'X-Amz-Credential': `AKIDNOBODY/${scope}` } },
      'InvalidAccessKeyId',
      403,
    ],
    ['no signed headers', { query: { 'X-Amz-SignedHeaders': undefined } }, query, 400],
    ['no time', { query: { 'X-Amz-Date': undefined } }, query, 400],
    ['a bad time', { query: { 'X-Amz-Date': '2026-03-04T05:06:07Z' } }, query, 400],
    ['no end', { query: { 'X-Amz-Expires': undefined } }, query, 400],
    ['an end in 0 seconds', { query: { 'X-Amz-Expires': '0' } }, query, 400],
    ['an end before its time', { query: { 'X-Amz-Expires': '-1' } }, query, 400],
    ['an end that is no integer', { query: { 'X-Amz-Expires': '1.5' } }, query, 400],
    ['an end in words', { query: { 'X-Amz-Expires': 'never' } }, query, 400],
    ['an end in exponents', { query: { 'X-Amz-Expires': '1e3' } }, query, 400],
    ['an end after a week', { query: { 'X-Amz-Expires': '604801' } }, query, 400],
    ['an end after an age', { query: { 'X-Amz-Expires': '9'.repeat(400) } }, query, 400],
    [
      'an unsigned host',
      { headers: { 'x-amz-acl': 'private' }, signedHeaders: ['x-amz-acl'] },
      'AccessDenied',
      403,
    ],
    ['an unsigned x-amz-* header', { headers: { 'x-amz-acl': 'private' } }, 'AccessDenied', 403],
    [
      'another payload hash than was signed',
      { query: { 'X-Amz-Content-Sha256': hash } },
      'SignatureDoesNotMatch',
      403,
    ],
    [
      'a payload hash that is not one',
      { query: { 'X-Amz-Content-Sha256': 'x' }, payloadHash: 'x' },
      'InvalidArgument',
      400,
    ],
  ])('%s', (_, options, code, status) => {
    const { code: actual, status: actualStatus } = refusal(presignedHead(options))
    expect([actual, actualStatus]).toEqual([code, status])
  })

  test('an end that has passed', () => {
    const refused = refusal(presignedHead(), later(60.001))
    expect([refused.code, refused.status]).toEqual(['AccessDenied', 403])
    expect(refused.fields).toEqual({
      'X-Amz-Expires': '60',
      Expires: '2026-03-04T05:07:07.000Z',
      ServerTime: '2026-03-04T05:07:07.001Z',
    })
  })

  test('a time that has not come yet', () => {
    const refused = refusal(presignedHead(), later(-901))
    expect([refused.code, refused.message]).toEqual(['AccessDenied', 'Request is not valid yet'])
  })

  test.each<[string, RegExp, string]>([
    ['another path', /key/, 'other'],
    ['another end', /Expires=60/, 'Expires=61'],
    ['another time', /050607Z/, '050608Z'],
    ['another parameter', /$/, '&versionId=1'],
    ['another signature', /Signature=.{64}/, `Signature=${hash}`],
  ])('%s than was signed', (_, from, to) => {
    const head = presignedHead()
    const wrong = withTarget(head, targetText(head).replace(from, to))
    expect(targetText(wrong)).not.toBe(targetText(head))
    expect(refusal(wrong).code).toBe('SignatureDoesNotMatch')
  })

  test('another method or host than was signed', () => {
    const head = presignedHead()
    expect(refusal({ ...head, method: 'PUT' }).code).toBe('SignatureDoesNotMatch')
    expect(refusal(withHeaders(head, { host: 'evil.example' })).code).toBe('SignatureDoesNotMatch')
  })

  test('no signature, a short one or one in upper case', () => {
    const head = presignedHead()
    for (const [from, to] of [
      [/&X-Amz-Signature=.*/, ''],
      [/.$/, ''],
      [/Signature=.{64}/, `Signature=${hash.toUpperCase()}`],
    ] as const) {
      expect(refusal(withTarget(head, targetText(head).replace(from, to))).code).toBe(query)
    }
  })

  test('a doubled parameter, whichever of the two was signed', () => {
    const head = presignedHead()
    const [path = '', signed = ''] = targetText(head).split('?')
    for (const text of [
      `${path}?X-Amz-Expires=604800&${signed}`,
      `${path}?${signed}&X-Amz-Expires=604800`,
      `${path}?X-Amz-Signature=${hash}&${signed}`,
    ]) {
      expect(refusal(withTarget(head, text)).code).toBe('SignatureDoesNotMatch')
    }
  })

  test('an Authorization header beside it', () => {
    const head = withHeaders(presignedHead(), { authorization: 'AWS4-HMAC-SHA256 x' })
    expect(refusal(head).code).toBe('InvalidArgument')
  })
})

describe('accepts what the presigner of the AWS SDK signs for', () => {
  const client = new S3Client({
    region,
    endpoint: `http://${host}`,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  })

  async function headOf(method: string, url: Promise<string>): Promise<RequestHead> {
    // A URL object would normalise the path.
    const rawTarget = (await url).slice(`http://${host}`.length)
    const target = parseTarget(rawTarget, { host, virtualHostDomains: [] })
    return { method, target, headers: new Map([['host', host]]) }
  }

  const signing = { expiresIn: 60, signingDate: now }

  test.each(['key', 'a b+c', 'a//b/../c', '100%/%2F', 'ä日😀', "*!'()", '~'])(
    'a download of %j',
    async (key) => {
      const command = new GetObjectCommand({ Bucket: 'bucket', Key: key, VersionId: 'a+b/c' })
      const head = await headOf('GET', getSignedUrl(client, command, signing))
      expect(authenticated(head)).toEqual({
        caller: { accessKeyId },
        payload: { kind: 'unsigned' },
      })
      expect(head.target.key).toBe(key)
    },
  )

  test('an upload with metadata and signed headers', async () => {
    const command = new PutObjectCommand({
      Bucket: 'bucket',
      Key: 'key',
      ContentType: 'text/plain',
      Metadata: { a: 'b c' },
    })
    const url = getSignedUrl(client, command, {
      ...signing,
      signableHeaders: new Set(['content-type']),
      unhoistableHeaders: new Set(['x-amz-meta-a']),
    })
    const head = withHeaders(await headOf('PUT', url), {
      'content-type': 'text/plain',
      'x-amz-meta-a': 'b c',
    })
    expect(authenticated(head).payload).toEqual({ kind: 'unsigned' })
    expect(refusal(withHeaders(head, { 'x-amz-meta-a': wire('b à') })).code).toBe(
      'SignatureDoesNotMatch',
    )
    expect(refusal(withHeaders(head, { 'content-type': 'text/html' })).code).toBe(
      'SignatureDoesNotMatch',
    )
  })
})
