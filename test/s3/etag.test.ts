import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { toBackendConditional, toBackendEtag, toClientEtag } from '../../src/s3/etag.ts'

const md5 = 'd41d8cd98f00b204e9800998ecf8427e'

describe('etag', () => {
  test.each([
    [`"${md5}"`, `"${md5}-1"`],
    [md5, `${md5}-1`],
    [`W/"${md5}"`, `W/"${md5}-1"`],
    [`"${md5}-1"`, `"${md5}-1-1"`],
    [`"${md5}-2"`, `"${md5}-2"`],
    [`"${md5}-10000"`, `"${md5}-10000"`],
    [`"${md5}-11"`, `"${md5}-11"`],
    ['"a-b"', '"a-b"'],
    ['""', '""'],
    ['', ''],
  ])("the backend's %s is the client's %s", (backend, client) => {
    expect(toClientEtag(backend)).toBe(client)
    expect(toBackendEtag(client)).toBe(backend)
  })

  const opaque = fc.oneof(
    fc.stringMatching(/^[0-9a-f]{32}(-[0-9]{1,5})?$/),
    fc
      .array(fc.constantFrom('-', '1', '-1', 'a', ' ', '\n', 'W/'), { maxLength: 6 })
      .map((pieces) => pieces.join('')),
    fc.string().map((text) => text.replaceAll('"', '')),
  )
  const etags = fc
    .record({ opaque, form: fc.constantFrom('"', 'W/"', '') })
    .map(({ opaque, form }) => `${form}${opaque}${form === '' ? '' : '"'}`)

  test('every ETag of a backend comes back from the client as it was', () => {
    fc.assert(
      fc.property(etags, (etag) => {
        expect(toBackendEtag(toClientEtag(etag))).toBe(etag)
      }),
      { numRuns: process.env['SLOW'] ? 100_000 : 2000 },
    )
  })

  test('no ETag of a client can be taken for an MD5 sum', () => {
    fc.assert(
      fc.property(etags, (etag) => {
        expect(toClientEtag(etag)).not.toMatch(/^(W\/)?"?[0-9a-f]{32}"?$/)
      }),
    )
  })
})

describe('conditional', () => {
  test.each([
    ['*', '*'],
    [' * ', '*'],
    [`"${md5}-1"`, `"${md5}"`],
    [md5, md5],
    [`"${md5}-2"`, `"${md5}-2"`],
    ['"a-1","b-1"', '"a", "b"'],
    ['"a-1" , W/"b-3"', '"a", W/"b-3"'],
    ['a-1, b', 'a, b'],
    ['"a,b-1"', '"a,b"'],
    ['"a, b"', '"a, b"'],
    ['"a-1', '"a'],
    ['', ''],
  ])('%j becomes %j', (client, backend) => {
    expect(toBackendConditional(client)).toBe(backend)
  })

  test('a list of what clients were told is a list of what the backend said', () => {
    const quoted = fc.stringMatching(/^[!#-~]{1,40}$/).map((opaque) => `"${opaque}"`)
    fc.assert(
      fc.property(fc.array(quoted, { minLength: 1, maxLength: 4 }), (etags) => {
        expect(toBackendConditional(etags.map(toClientEtag).join(','))).toBe(etags.join(', '))
      }),
    )
  })
})
