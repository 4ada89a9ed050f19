import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { maxCompleteRequestSize, parseCompleteRequest } from '../../src/s3/complete-request.ts'
import { S3Error } from '../../src/s3/errors.ts'
import { element, s3Document } from '../../src/s3/xml.ts'

function parse(rows: string): unknown {
  const body = `<CompleteMultipartUpload>${rows}</CompleteMultipartUpload>`
  return outcome(Buffer.from(body))
}

function outcome(body: Buffer): unknown {
  try {
    return parseCompleteRequest(body)
  } catch (error) {
    if (error instanceof S3Error) return error.code
    throw error
  }
}

const part = (number: number | string, etag = '"a-1"'): string =>
  `<Part><PartNumber>${number}</PartNumber><ETag>${etag}</ETag></Part>`

describe('complete request', () => {
  test('parts come as the client lists them', () => {
    expect(parse(part(1) + part(2, 'b') + part(10_000, '&quot;c&quot;'))).toEqual([
      { number: 1, etag: '"a-1"' },
      { number: 2, etag: 'b' },
      { number: 10_000, etag: '"c"' },
    ])
  })

  test('order of fields, checksums, namespace and white space make no difference', () => {
    const body = Buffer.from(
      '<?xml version="1.0"?>\n<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">\n' +
        ' <Part>\n <ETag> "a" </ETag> <ChecksumCRC32>AAAAAA==</ChecksumCRC32> <PartNumber> 07 </PartNumber>\n </Part>\n' +
        '</CompleteMultipartUpload>',
    )
    expect(outcome(body)).toEqual([{ number: 7, etag: '"a"' }])
  })

  test('ten thousand parts with every checksum fit in', () => {
    const rows = Array.from({ length: 10_000 }, (_, index) =>
      element('Part', [
        element('PartNumber', String(index + 1)),
        element('ETag', `"${'a'.repeat(34)}"`),
        element('ChecksumCRC32', 'a'.repeat(8)),
        element('ChecksumCRC32C', 'a'.repeat(8)),
        element('ChecksumCRC64NVME', 'a'.repeat(12)),
        element('ChecksumSHA1', 'a'.repeat(28)),
        element('ChecksumSHA256', 'a'.repeat(44)),
      ]),
    )
    const body = Buffer.from(s3Document(element('CompleteMultipartUpload', rows)))
    expect(body.length).toBeLessThan(maxCompleteRequestSize)
    expect(outcome(body)).toHaveLength(10_000)
  })

  test.each([
    ['no part', ''],
    ['a part without a number', '<Part><ETag>a</ETag></Part>'],
    ['a part without an ETag', '<Part><PartNumber>1</PartNumber></Part>'],
    ['an empty ETag', part(1, ' ')],
    ['an empty number', part('')],
    ['a negative number', part('-1')],
    ['a signed number', part('+1')],
    ['a number that is no integer', part('1.0')],
    ['a number in another notation', part('1e3')],
    ['a hexadecimal number', part('0x1')],
    ['words', part('one')],
    ['a number of six digits', part('100000')],
    ['another element', `${part(1)}<Other/>`],
    ['parts too deep', `<Parts>${part(1)}</Parts>`],
    ['parts in upper case', part(1).toUpperCase()],
    ['too many parts', Array.from({ length: 10_001 }, (_, i) => part(i % 10_000)).join('')],
    [
      'two numbers',
      `<Part><PartNumber>1</PartNumber><PartNumber>2</PartNumber><ETag>a</ETag></Part>`,
    ],
    ['two ETags', `<Part><PartNumber>1</PartNumber><ETag>a</ETag><ETag>b</ETag></Part>`],
  ])('%s is MalformedXML', (_, rows) => {
    expect(parse(rows)).toBe('MalformedXML')
  })

  test.each([
    ['nothing', ''],
    ['no XML', 'hello'],
    ['another root', '<Delete><Object><Key>a</Key></Object></Delete>'],
    [
      'a document type',
      `<!DOCTYPE a><CompleteMultipartUpload>${part(1)}</CompleteMultipartUpload>`,
    ],
    ['a cut document', `<CompleteMultipartUpload>${part(1)}`],
    [
      'too large a document',
      `<CompleteMultipartUpload>${part(1, 'a'.repeat(maxCompleteRequestSize))}</CompleteMultipartUpload>`,
    ],
  ])('%s is MalformedXML', (_, body) => {
    expect(outcome(Buffer.from(body))).toBe('MalformedXML')
  })

  test.each([0, '00', 10_001, 99_999])('the part number %j is InvalidArgument', (number) => {
    expect(parse(part(number))).toBe('InvalidArgument')
  })

  test('numbers that do not rise are InvalidPartOrder', () => {
    const numbers = fc.array(fc.integer({ min: 1, max: 10_000 }), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(numbers, (list) => {
        const rises = list.every((number, index) => number > (list[index - 1] ?? 0))
        expect(parse(list.map((number) => part(number, 'a')).join(''))).toEqual(
          rises ? list.map((number) => ({ number, etag: 'a' })) : 'InvalidPartOrder',
        )
      }),
    )
  })
})
