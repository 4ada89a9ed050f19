import { describe, expect, test } from 'vitest'
import { signRequest } from '../../src/sigv4/sign.ts'
import { amzDate, signingKey } from '../../src/sigv4/signing-key.ts'
import {
  parseAuthorization,
  parseFields,
  SignatureSyntaxError,
  verifySignature,
} from '../../src/sigv4/verify.ts'
import { accessKeyId, secretAccessKey, signingDate } from './smithy.ts'

const signature = 'ab'.repeat(32)
const credential = 'AKIA/20130524/us-east-1/s3/aws4_request'
const good = `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=host;x-amz-date, Signature=${signature}`

describe('parseAuthorization', () => {
  const expected = {
    accessKeyId: 'AKIA',
    day: '20130524',
    region: 'us-east-1',
    signedHeaders: ['host', 'x-amz-date'],
    signature,
  }

  test.each<[string, string]>([
    ['commas and spaces', good],
    ['commas alone', good.replaceAll(', ', ',')],
    ['more spaces', good.replaceAll(', ', ' ,  ')],
    [
      'another order',
      `AWS4-HMAC-SHA256 Signature=${signature},Credential=${credential},SignedHeaders=host;x-amz-date`,
    ],
  ])('takes %s', (_, header) => {
    expect(parseAuthorization(header)).toEqual(expected)
  })

  test('takes an access key with slashes', () => {
    expect(parseAuthorization(good.replace('AKIA', 'a/b/c')).accessKeyId).toBe('a/b/c')
  })

  test.each<[string, string]>([
    ['nothing', ''],
    ['another algorithm', good.replace('HMAC-SHA256', 'ECDSA-P256-SHA256')],
    ['the algorithm alone', 'AWS4-HMAC-SHA256 '],
    ['an algorithm in lower case', good.replace('AWS4', 'aws4')],
    ['no credential', good.replace(`Credential=${credential}, `, '')],
    ['no signed headers', good.replace('SignedHeaders=host;x-amz-date, ', '')],
    ['no signature', good.replace(`, Signature=${signature}`, '')],
    ['a field twice', `${good}, Signature=${signature}`],
    ['a whole header twice', `${good},${good}`],
    ['an unknown field', `${good}, Foo=bar`],
    ['a comma at the end', `${good},`],
    ['an empty credential', good.replace(credential, '')],
    ['a credential without a key', good.replace('AKIA/', '')],
    ['a credential with an empty key', good.replace('AKIA/', '/')],
    ['a credential without a region', good.replace('us-east-1', '')],
    ['a credential with a short date', good.replace('20130524', '2013052')],
    ['a credential with letters in its date', good.replace('20130524', '2013052a')],
    ['another service', good.replace('/s3/', '/sts/')],
    ['another terminator', good.replace('aws4_request', 'aws4')],
    ['a slash behind the terminator', good.replace('aws4_request', 'aws4_request/')],
    ['empty signed headers', good.replace('host;x-amz-date', '')],
    ['an empty signed header', good.replace('host;', 'host;;')],
    ['a signed header in upper case', good.replace('host;', 'Host;')],
    ['a signed header with a colon', good.replace('host;', 'host:;')],
    ['a short signature', good.slice(0, -1)],
    ['a long signature', `${good}0`],
    ['a signature in upper case', good.replace(signature, signature.toUpperCase())],
    ['a signature that is not hex', good.replace(signature, 'xy'.repeat(32))],
  ])('refuses %s', (_, header) => {
    expect(() => parseAuthorization(header)).toThrow(SignatureSyntaxError)
  })

  test('does not repeat the header in its message', () => {
    expect(() => parseAuthorization(`Basic ${signature}`)).toThrow(
      /^The authorization header must begin with AWS4-HMAC-SHA256\.$/,
    )
  })
})

test('parseFields refuses fields that are not there', () => {
  const fields = { credential: undefined, signedHeaders: undefined, signature: undefined }
  expect(() => parseFields(fields)).toThrow(SignatureSyntaxError)
  expect(() => parseFields({ ...fields, credential })).toThrow(SignatureSyntaxError)
  expect(() => parseFields({ ...fields, credential, signedHeaders: 'host' })).toThrow(
    SignatureSyntaxError,
  )
})

describe('verifySignature', () => {
  const request = {
    method: 'PUT',
    rawPath: '/bucket/a%2Fb',
    rawQuery: 'a=1&b=',
    headers: { host: 'example.com', 'x-amz-meta-a': 'b c' },
  }
  const payloadHash = 'UNSIGNED-PAYLOAD'
  const { headers } = signRequest(request, {
    accessKeyId,
    secretAccessKey,
    region: 'eu-central-1',
    now: signingDate,
    payloadHash,
  })
  const received = { ...request, headers }
  const parsed = parseAuthorization(headers['authorization'] ?? '')
  const options = { secretAccessKey, amzDate: '20130524T000000Z', payloadHash }

  test('takes what was signed', () => {
    expect(verifySignature(received, parsed, options)).not.toBeNull()
  })

  test.each<[string, Partial<typeof request>]>([
    ['method', { method: 'POST' }],
    ['path', { rawPath: '/bucket/a/c' }],
    ['case of the path', { rawPath: '/bucket/A%2Fb' }],
    ['slash at the end', { rawPath: '/bucket/a%2Fb/' }],
    ['doubled slash', { rawPath: '//bucket/a%2Fb' }],
    ['query value', { rawQuery: 'a=2&b=' }],
    ['query name', { rawQuery: 'a=1&c=' }],
    ['missing parameter', { rawQuery: 'a=1' }],
    ['added parameter', { rawQuery: 'a=1&b=&c' }],
    ['doubled parameter', { rawQuery: 'a=1&a=1&b=' }],
  ])('refuses another %s', (_, change) => {
    expect(verifySignature({ ...received, ...change }, parsed, options)).toBeNull()
  })

  test.each(['host', 'x-amz-meta-a', 'x-amz-date', 'x-amz-content-sha256'])(
    'refuses a changed, missing or empty %s',
    (name) => {
      const { [name]: _, ...without } = headers
      for (const changed of [
        { ...headers, [name]: `${headers[name]}x` },
        { ...headers, [name]: '' },
        without,
      ]) {
        expect(verifySignature({ ...received, headers: changed }, parsed, options)).toBeNull()
      }
    },
  )

  test.each<[string, Partial<typeof options>]>([
    ['secret', { secretAccessKey: `${secretAccessKey} ` }],
    ['time', { amzDate: '20130524T000001Z' }],
    ['payload hash', { payloadHash: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER' }],
  ])('refuses another %s', (_, change) => {
    expect(verifySignature(received, parsed, { ...options, ...change })).toBeNull()
  })

  test.each<[string, Partial<typeof parsed>]>([
    ['day', { day: '20130525' }],
    ['region', { region: 'us-east-1' }],
    ['list of signed headers', { signedHeaders: parsed.signedHeaders.slice(1) }],
    ['order of signed headers', { signedHeaders: parsed.signedHeaders.toReversed() }],
  ])('refuses another %s', (_, change) => {
    expect(verifySignature(received, { ...parsed, ...change }, options)).toBeNull()
  })

  test('refuses each flipped bit of the signature', () => {
    const bytes = Buffer.from(parsed.signature, 'hex')
    for (let bit = 0; bit < 256; bit += 1) {
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      const wrong = { ...parsed, signature: flipped.toString('hex') }
      expect(verifySignature(received, wrong, options), `bit ${bit}`).toBeNull()
    }
  })

  test.each(['constructor', '__proto__', 'x-never-sent'])(
    'treats a signed header %s that did not come as empty',
    (name) => {
      const wrong = { ...parsed, signedHeaders: [name, ...parsed.signedHeaders] }
      expect(verifySignature(received, wrong, options)).toBeNull()
    },
  )

  test('finds a header whose name is a property of all objects', () => {
    const withOdd = Object.fromEntries([...Object.entries(request.headers), ['constructor', 'x']])
    const { headers: odd } = signRequest(
      { ...request, headers: withOdd },
      { accessKeyId, secretAccessKey, region: 'eu-central-1', now: signingDate, payloadHash },
    )
    const oddParsed = parseAuthorization(odd['authorization'] ?? '')
    const verify = (sent: Record<string, string>) =>
      verifySignature({ ...request, headers: sent }, oddParsed, options)
    expect(verify(odd)).not.toBeNull()
    expect(verify({ ...odd, constructor: 'y' })).toBeNull()
  })
})

test('signing keys of another day, region or secret differ, even from the cache', () => {
  const keys = [
    signingKey('secret', '20130524', 'us-east-1'),
    signingKey('secret', '20130525', 'us-east-1'),
    signingKey('secret', '20130524', 'us-east-2'),
    signingKey('secret2', '20130524', 'us-east-1'),
  ].map((key) => key.toString('hex'))
  expect(new Set(keys).size).toBe(4)
  expect(signingKey('secret', '20130524', 'us-east-1').toString('hex')).toBe(keys[0])
})

test('amzDate has no separators and no fraction', () => {
  expect(amzDate(new Date('2013-05-24T01:02:03.999Z'))).toBe('20130524T010203Z')
})
