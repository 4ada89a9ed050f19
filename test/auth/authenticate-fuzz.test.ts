import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RequestHead } from '../../src/auth/authenticate.ts'
import { S3Error } from '../../src/s3/errors.ts'
import {
  authenticated,
  authorization,
  presignedHead,
  signedHead,
  withHeaders,
} from './signed-heads.ts'

const numRuns = process.env['SLOW'] ? 20_000 : 500

describe('throws nothing but S3Error for', () => {
  const outcome = (head: RequestHead): unknown => {
    try {
      return authenticated(head).caller
    } catch (error) {
      return error
    }
  }

  test('any Authorization header', () => {
    const good = authorization(signedHead())
    const part = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 8 }),
      fc.constantFrom('Credential=', 'SignedHeaders=', 'Signature=', ',', ' ', '/', ';', '='),
      fc.nat(good.length).map((at) => good.slice(at)),
      fc.nat(good.length).map((at) => good.slice(0, at)),
    )
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), fc.boolean(), (parts, isPrefixed) => {
        const text = `${isPrefixed ? 'AWS4-HMAC-SHA256 ' : ''}${parts.join('')}`
        fc.pre(text !== good)
        expect(outcome(withHeaders(signedHead(), { authorization: text }))).toBeInstanceOf(S3Error)
      }),
      { numRuns },
    )
  })

  test('any signed headers, dates and payload hashes', () => {
    const names = fc.array(
      fc.oneof(
        fc.stringMatching(/^[!#$%&'*+.^_`|~0-9a-z-]{1,12}$/),
        fc.constantFrom('host', '__proto__', 'constructor', 'x-amz-date'),
      ),
      { minLength: 1, maxLength: 5 },
    )
    const text = fc.string({ unit: 'binary', maxLength: 20 })
    fc.assert(
      fc.property(names, text, text, (signed, date, payloadHash) => {
        const changed = authorization(signedHead()).replace(
          /SignedHeaders=[^,]*/,
          () => `SignedHeaders=${signed.join(';')}`,
        )
        for (const headers of [
          { authorization: changed },
          { 'x-amz-date': date },
          { 'x-amz-date': undefined, date },
          { 'x-amz-content-sha256': payloadHash },
        ]) {
          expect(outcome(withHeaders(signedHead(), headers))).toBeInstanceOf(S3Error)
        }
      }),
      { numRuns },
    )
  })

  test('any parameters of a presigned URL', () => {
    const name = fc.constantFrom('Algorithm', 'Credential', 'Date', 'Expires', 'SignedHeaders')
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 20 }),
      fc.constantFrom('host;__proto__', 'constructor', '99999999T999999Z', '99991231T235959Z'),
    )
    fc.assert(
      fc.property(name, text, (parameter, value) => {
        fc.pre(!/^\d+$/.test(value))
        const query = { [`X-Amz-${parameter}`]: value }
        expect(outcome(presignedHead({ query }))).toBeInstanceOf(S3Error)
      }),
      { numRuns },
    )
  })
})
