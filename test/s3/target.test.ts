import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { S3Error } from '../../src/s3/errors.ts'
import {
  encodeKey,
  encodeQueryValue,
  parseCopySource,
  parseTarget,
  queryValue,
  type Target,
} from '../../src/s3/target.ts'

const slow = Boolean(process.env['SLOW'])

function parse(rawTarget: string, host = 'proxy.test:9000'): Target {
  return parseTarget(rawTarget, { host, virtualHostDomains: ['s3.test', 'eu.s3.test'] })
}

function errorCode(call: () => unknown): string {
  try {
    call()
  } catch (error) {
    if (error instanceof S3Error) return error.code
    throw error
  }
  return 'none'
}

/** Null if it throws an S3Error; any other error is thrown on. */
function orRefusal<T>(call: () => T): T | null {
  try {
    return call()
  } catch (error) {
    if (error instanceof S3Error) return null
    throw error
  }
}

/** The bytes of a text as they stand in a request line: one latin1 char each. */
function onTheWire(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

describe('request target', () => {
  test.each([
    ['/', null, '', ''],
    ['/?x-id=ListBuckets', null, '', ''],
    ['/bucket', 'bucket', '', ''],
    ['/bucket/', 'bucket', '', ''],
    ['/bucket?versions', 'bucket', '', ''],
    ['/bucket/key', 'bucket', 'key', 'key'],
    ['/bucket/key?versionId=1/2', 'bucket', 'key', 'key'],
    ['/bucket/a/b/c', 'bucket', 'a/b/c', 'a/b/c'],
    ['/bucket/folder/', 'bucket', 'folder/', 'folder/'],
    ['/bucket//', 'bucket', '/', '/'],
    ['/bucket//key', 'bucket', '/key', '/key'],
    ['/bucket/a//b', 'bucket', 'a//b', 'a//b'],
    ['/bucket/.', 'bucket', '.', '.'],
    ['/bucket/..', 'bucket', '..', '..'],
    ['/bucket/../other/key', 'bucket', '../other/key', '../other/key'],
    ['/bucket/a/../../b', 'bucket', 'a/../../b', 'a/../../b'],
    ['/bucket/%2e%2e/b', 'bucket', '%2e%2e/b', '../b'],
    ['/bucket/a%2Fb', 'bucket', 'a%2Fb', 'a/b'],
    ['/bucket/a%2fb', 'bucket', 'a%2fb', 'a/b'],
    ['/bucket/%2F', 'bucket', '%2F', '/'],
    ['/bucket/a+b', 'bucket', 'a+b', 'a+b'],
    ['/bucket/a%2Bb', 'bucket', 'a%2Bb', 'a+b'],
    ['/bucket/a%20b', 'bucket', 'a%20b', 'a b'],
    ['/bucket/a%3Fb', 'bucket', 'a%3Fb', 'a?b'],
    ['/bucket/a%23b', 'bucket', 'a%23b', 'a#b'],
    ['/bucket/100%25', 'bucket', '100%25', '100%'],
    ['/bucket/%2525', 'bucket', '%2525', '%25'],
    ['/bucket/a&b=c;d:e@f', 'bucket', 'a&b=c;d:e@f', 'a&b=c;d:e@f'],
    ['/bucket/back\\slash', 'bucket', 'back\\slash', 'back\\slash'],
    ['/bucket/%00%1F%7F', 'bucket', '%00%1F%7F', '\u0000\u001f\u007f'],
    ['/bucket/%C3%A9', 'bucket', '%C3%A9', 'é'],
    ['/bucket/e%CC%81', 'bucket', 'e%CC%81', 'e\u0301'],
    ['/bucket/%EF%BB%BFbom', 'bucket', '%EF%BB%BFbom', '\uFEFFbom'],
    ['/bucket/%F0%9F%92%A9', 'bucket', '%F0%9F%92%A9', '💩'],
    [onTheWire('/bucket/é'), 'bucket', onTheWire('é'), 'é'],
    ['/b%75cket/key', 'bucket', 'key', 'key'],
    ['/buc.ket-1/key', 'buc.ket-1', 'key', 'key'],
    ['/my_bucket/key', 'my_bucket', 'key', 'key'],
    ['/Bucket/key', 'Bucket', 'key', 'key'],
  ])('%j names bucket %j and key %j', (rawTarget, bucket, rawKey, key) => {
    expect(parse(rawTarget)).toMatchObject({ bucket, rawKey, key })
  })

  test('keeps path and query exactly as they came', () => {
    const target = parse('/bucket/a%2f..//%41+?B=%2f&a=+&&c')
    expect(target.rawPath).toBe('/bucket/a%2f..//%41+')
    expect(target.rawQuery).toBe('B=%2f&a=+&&c')
  })

  test.each([
    ['/b/k', []],
    ['/b/k?', []],
    ['/b/k?&', []],
    ['/b/k?acl', [{ name: 'acl', value: '' }]],
    ['/b/k?acl=', [{ name: 'acl', value: '' }]],
    ['/b/k?%61cl', [{ name: 'acl', value: '' }]],
    ['/b/k?prefix=a=b', [{ name: 'prefix', value: 'a=b' }]],
    ['/b/k?prefix=a+b%2Bc', [{ name: 'prefix', value: 'a b+c' }]],
    ['/b/k?prefix=a?b', [{ name: 'prefix', value: 'a?b' }]],
    ['/b/k?prefix=%C3%A9', [{ name: 'prefix', value: 'é' }]],
    ['/b/k?a;acl', [{ name: 'a;acl', value: '' }]],
    [
      '/b/k?a=1&A=2',
      [
        { name: 'a', value: '1' },
        { name: 'A', value: '2' },
      ],
    ],
  ])('%j has the parameters %j', (rawTarget, query) => {
    expect(parse(rawTarget.replace('/b/', '/bucket/')).query).toEqual(query)
  })

  test('a parameter without a value is there, one that is missing is not', () => {
    const target = parse('/bucket?acl')
    expect(queryValue(target, 'acl')).toBe('')
    expect(queryValue(target, 'ACL')).toBeNull()
    expect(queryValue(target, 'tagging')).toBeNull()
  })

  test.each([
    ['', 'InvalidURI'],
    ['*', 'InvalidURI'],
    ['bucket/key', 'InvalidURI'],
    ['?acl', 'InvalidURI'],
    ['http://proxy.test/bucket/key', 'InvalidURI'],
    ['//bucket/key', 'InvalidBucketName'],
    ['//', 'InvalidBucketName'],
    ['/ab', 'InvalidBucketName'],
    ['/../bucket/key', 'InvalidBucketName'],
    ['/./bucket', 'InvalidBucketName'],
    ['/buc..ket/key', 'InvalidBucketName'],
    ['/-bucket/key', 'InvalidBucketName'],
    ['/bucket-/key', 'InvalidBucketName'],
    ['/bucket%2Fkey', 'InvalidBucketName'],
    ['/bucket%00/key', 'InvalidBucketName'],
    ['/buck%20et/key', 'InvalidBucketName'],
    ['/bück%C3%A9t/key', 'InvalidURI'],
    ['/bucket%0A/key', 'InvalidBucketName'],
    [`/${'b'.repeat(256)}`, 'InvalidBucketName'],
    ['/bucket/%', 'InvalidURI'],
    ['/bucket/%4', 'InvalidURI'],
    ['/bucket/%zz', 'InvalidURI'],
    ['/bucket/%C3', 'InvalidURI'],
    ['/bucket/%C0%AE', 'InvalidURI'],
    ['/bucket/%E0%80%AF', 'InvalidURI'],
    ['/bucket/%ED%A0%80', 'InvalidURI'],
    ['/bucket/%FF', 'InvalidURI'],
    ['/bucket/\u00ff', 'InvalidURI'],
    ['/bucket/key?a=%', 'InvalidURI'],
    ['/bucket/key?%FF', 'InvalidURI'],
    [`/bucket/${'k'.repeat(1025)}`, 'KeyTooLongError'],
    [`/bucket/${'%C3%A9'.repeat(513)}`, 'KeyTooLongError'],
  ])('%j is refused with %s', (rawTarget, code) => {
    expect(errorCode(() => parse(rawTarget))).toBe(code)
  })

  test.each(['k'.repeat(1024), '%C3%A9'.repeat(512)])('a key of 1,024 bytes is allowed', (key) => {
    expect(Buffer.byteLength(parse(`/bucket/${key}`).key)).toBe(1024)
  })

  test('any bytes give a target or an S3Error', () => {
    const bytes = fc
      .uint8Array({ maxLength: 200 })
      .map((array) => Buffer.from(array).toString('latin1'))
    const near = fc
      .array(
        fc.constantFrom('/', '..', '%', '%2', '%2F', '%C3', '%A9', '?', '&', '=', '+', 'abc'),
        {
          maxLength: 20,
        },
      )
      .map((pieces) => pieces.join(''))
    fc.assert(
      fc.property(fc.oneof(bytes, near), bytes, (rest, host) => {
        const target = orRefusal(() => parse(`/${rest}`, host))
        if (target === null) return
        const query = rest.includes('?') ? `?${target.rawQuery}` : ''
        expect(`${target.rawPath}${query}`).toBe(`/${rest}`)
        expect(target.rawPath.endsWith(target.rawKey)).toBe(true)
      }),
      { numRuns: slow ? 100_000 : 2000 },
    )
  })
})

describe('virtual host', () => {
  test.each([
    ['bucket.s3.test', '/key', 'bucket', 'key'],
    ['bucket.s3.test:9000', '/key', 'bucket', 'key'],
    ['BUCKET.S3.Test', '/key', 'bucket', 'key'],
    ['my.bucket.s3.test', '/key', 'my.bucket', 'key'],
    ['bucket.s3.test', '/', 'bucket', ''],
    ['bucket.s3.test', '//key', 'bucket', '/key'],
    ['bucket.s3.test', '/../other/key', 'bucket', '../other/key'],
    ['bucket.s3.test', '/folder/', 'bucket', 'folder/'],
    ['s3.test', '/bucket/key', 'bucket', 'key'],
    ['s3.test:443', '/', null, ''],
    ['eu.s3.test', '/bucket/key', 'bucket', 'key'],
    ['bucket.eu.s3.test', '/key', 'bucket', 'key'],
    ['bucket.other.test', '/bucket/key', 'bucket', 'key'],
    ['evils3.test', '/bucket/key', 'bucket', 'key'],
    ['127.0.0.1:9000', '/bucket/key', 'bucket', 'key'],
    ['[::1]:9000', '/bucket/key', 'bucket', 'key'],
    ['', '/bucket/key', 'bucket', 'key'],
  ])('%j with path %j names bucket %j and key %j', (host, path, bucket, key) => {
    expect(parse(path, host)).toMatchObject({ bucket, key })
  })

  test.each(['.s3.test', 'ab.s3.test', 'a..b.s3.test', '-bucket.s3.test', 'a/b.s3.test'])(
    '%j has no valid bucket name',
    (host) => {
      expect(errorCode(() => parse('/key', host))).toBe('InvalidBucketName')
    },
  )

  test('a missing host names no bucket', () => {
    const options = { host: undefined, virtualHostDomains: ['s3.test'] }
    expect(parseTarget('/bucket/key', options)).toMatchObject({ bucket: 'bucket', key: 'key' })
  })
})

describe('encoding', () => {
  test.each([
    ['a b+c', 'a%20b%2Bc'],
    ['a/b//c/', 'a/b//c/'],
    ["!'()*", '%21%27%28%29%2A'],
    ['-._~', '-._~'],
    ['é💩', '%C3%A9%F0%9F%92%A9'],
    ['%?#&=', '%25%3F%23%26%3D'],
  ])('key %j becomes %s', (key, encoded) => {
    expect(encodeKey(key)).toBe(encoded)
  })

  test('query values have no slash', () => {
    expect(encodeQueryValue('a/b c')).toBe('a%2Fb%20c')
  })

  const keys = fc
    .string({ unit: 'binary', minLength: 1, maxLength: 200 })
    .filter((key) => Buffer.byteLength(key) <= 1024)

  test('every key survives a path, a query and a copy source', () => {
    fc.assert(
      fc.property(keys, (key) => {
        expect(parse(`/bucket/${encodeKey(key)}`).key).toBe(key)
        expect(parse(`/bucket/${encodeQueryValue(key)}`).key).toBe(key)
        const listed = parse(`/bucket?prefix=${encodeQueryValue(key)}`)
        expect(queryValue(listed, 'prefix')).toBe(key)
        const source = `/bucket/${encodeKey(key)}?versionId=${encodeQueryValue(key)}`
        expect(parseCopySource(source)).toEqual({ bucket: 'bucket', key, versionId: key })
      }),
      { numRuns: slow ? 50_000 : 500 },
    )
  })
})

describe('copy source', () => {
  test.each([
    ['bucket/key', 'key', null],
    ['/bucket/key', 'key', null],
    ['bucket%2Fkey', 'key', null],
    ['%2Fbucket%2Fa%2Fb', 'a/b', null],
    ['/bucket//key', '/key', null],
    ['/bucket/../x', '../x', null],
    ['/bucket/a+b', 'a+b', null],
    ['/bucket/a%20b', 'a b', null],
    ['/bucket/folder/', 'folder/', null],
    ['/bucket/100%', '100%', null],
    ['/bucket/key?versionId=abc', 'key', 'abc'],
    ['/bucket/key?versionId=a%2Fb', 'key', 'a/b'],
    ['/bucket/key?versionId=null', 'key', 'null'],
    ['/bucket/what%3Fthen', 'what?then', null],
    ['/bucket/what?then', 'what?then', null],
    ['/bucket/%3FversionId=1?versionId=2', '?versionId=1', '2'],
    [onTheWire('/bucket/é'), 'é', null],
    [onTheWire('/bucket/é%'), 'é%', null],
  ])('%j is key %j, version %j', (header, key, versionId) => {
    expect(parseCopySource(header)).toEqual({ bucket: 'bucket', key, versionId })
  })

  test.each([
    ['', 'InvalidArgument'],
    ['/', 'InvalidArgument'],
    ['bucket', 'InvalidArgument'],
    ['/bucket', 'InvalidArgument'],
    ['/bucket/', 'InvalidArgument'],
    ['bucket/?versionId=1', 'InvalidArgument'],
    ['//key', 'InvalidArgument'],
    ['/bucket/key?versionId=', 'InvalidArgument'],
    ['/../bucket/key', 'InvalidBucketName'],
    ['arn:aws:s3:eu-west-1:123456789012:accesspoint/point/object/key', 'InvalidBucketName'],
    ['/bucket/%FF', 'InvalidURI'],
    ['/bucket/\u00ff%', 'InvalidURI'],
    ['/bucket/key?versionId=%', 'InvalidURI'],
    [`/bucket/${'k'.repeat(1025)}`, 'KeyTooLongError'],
  ])('%j is refused with %s', (header, code) => {
    expect(errorCode(() => parseCopySource(header))).toBe(code)
  })

  test('any bytes give a source or an S3Error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const header = `bucket/${Buffer.from(bytes).toString('latin1')}`
        expect(orRefusal(() => parseCopySource(header))?.key).not.toBe('')
      }),
      { numRuns: slow ? 100_000 : 2000 },
    )
  })
})
