import { describe, expect, test } from 'vitest'
import { maxDeleteRequestSize, parseDeleteObjects } from '../../src/s3/delete-objects-request.ts'
import { S3Error } from '../../src/s3/errors.ts'

function outcome(body: string): unknown {
  try {
    return parseDeleteObjects(Buffer.from(body))
  } catch (error) {
    if (error instanceof S3Error) return error.code
    throw error
  }
}

const parse = (rows: string): unknown => outcome(`<Delete>${rows}</Delete>`)
const object = (key: string): string => `<Object><Key>${key}</Key></Object>`

describe('delete objects request', () => {
  test('keys and versions come as the client lists them', () => {
    expect(
      parse(
        `<Quiet>true</Quiet>${object('a')}<Object><VersionId>v</VersionId><Key> b/&lt;é&gt; </Key></Object>`,
      ),
    ).toEqual([
      { key: 'a', versionId: null },
      { key: ' b/<é> ', versionId: 'v' },
    ])
  })

  test.each([
    ['..', '..'],
    ['a//b/', 'a//b/'],
    ['a%2Fb+c', 'a%2Fb+c'],
    ['&#x1;&#13;', '\u0001\r'],
    ['k'.repeat(1024), 'k'.repeat(1024)],
  ])('the key %j is %j', (written, key) => {
    expect(parse(object(written))).toEqual([{ key, versionId: null }])
  })

  test('a thousand of the longest keys fit in', () => {
    expect(parse(object('&quot;'.repeat(1024)).repeat(1000))).toHaveLength(1000)
  })

  test.each([
    ['no object', ''],
    ['only a wish', '<Quiet>true</Quiet>'],
    ['an object without a key', '<Object><VersionId>v</VersionId></Object>'],
    ['an empty key', object('')],
    ['too long a key', object('k'.repeat(1025))],
    ['too long a key in bytes', object('é'.repeat(513))],
    ['too many objects', object('a').repeat(1001)],
    ['objects too deep', `<Objects>${object('a')}</Objects>`],
    ['two keys', '<Object><Key>a</Key><Key>b</Key></Object>'],
    [
      'two versions',
      '<Object><Key>a</Key><VersionId>1</VersionId><VersionId>2</VersionId></Object>',
    ],
    ['a key of elements', '<Object><Key>a<b/></Key></Object>'],
  ])('%s is MalformedXML', (_, rows) => {
    expect(parse(rows)).toBe('MalformedXML')
  })

  test.each([
    ['nothing', ''],
    ['another root', `<Erase>${object('a')}</Erase>`],
    ['a document type', `<!DOCTYPE a><Delete>${object('a')}</Delete>`],
    ['an entity', '<!DOCTYPE a [<!ENTITY k "a">]><Delete><Object><Key>&k;</Key></Object></Delete>'],
    ['too large a document', `<Delete>${object('a')}${' '.repeat(maxDeleteRequestSize)}</Delete>`],
  ])('%s is MalformedXML', (_, body) => {
    expect(outcome(body)).toBe('MalformedXML')
  })
})
