import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { S3Error } from '../../src/s3/errors.ts'
import {
  childText,
  element,
  errorDocument,
  parseRequestXml,
  parseXml,
  s3Document,
  serializeXml,
  XmlError,
  type XmlElement,
} from '../../src/s3/xml.ts'

const slow = Boolean(process.env['SLOW'])
const limits = { maxBytes: 4 * 1024 * 1024 }

function parse(text: string): XmlElement {
  return parseXml(Buffer.from(text, 'utf8'), limits)
}

/** Text that references or XML itself can carry. */
const texts = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom('\u0001', '\r', '\u0081', '\u0085', '\u2028'),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    ),
  })
  .map((text) => text.replaceAll('\u0000', '').replace(/[\uFFFE\uFFFF]/g, ''))

const elements: fc.Arbitrary<XmlElement> = fc.letrec<{ tree: XmlElement; leaf: XmlElement }>(
  (tie) => {
    const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9._-]{0,10}$/)
    const attributes = fc.dictionary(name, texts, { maxKeys: 2 }).map((record) => ({ ...record }))
    const leaf = fc.record({ name, attributes, children: fc.constant([]), text: texts })
    return {
      leaf,
      tree: fc.oneof(
        { maxDepth: 5 },
        tie('leaf'),
        fc.record({
          name,
          attributes,
          children: fc.array(tie('tree'), { minLength: 1, maxLength: 4 }),
          text: fc.constant(''),
        }),
      ),
    }
  },
).tree

describe('xml', () => {
  test('what is written is read again', () => {
    fc.assert(
      fc.property(elements, (root) => {
        expect(parse(serializeXml(root))).toEqual(root)
      }),
      { numRuns: slow ? 10_000 : 200 },
    )
  })

  test.each([
    ['&', '&amp;'],
    ['<', '&lt;'],
    ['>', '&gt;'],
    ['"', '&quot;'],
    ["'", "'"],
    ['\t', '&#x9;'],
    ['\n', '&#xA;'],
    ['\r', '&#xD;'],
    ['\u0000', '&#x0;'],
    ['\u007f', '&#x7F;'],
    [']]>', ']]&gt;'],
    ['&amp;', '&amp;amp;'],
    ['é💩', 'é💩'],
  ])('%j is written as %s', (text, written) => {
    const document = serializeXml(element('a', text))
    expect(document).toBe(`<?xml version="1.0" encoding="UTF-8"?>\n<a>${written}</a>`)
  })

  test.each([
    ['<a>x</a>', 'x'],
    ['\uFEFF<a>x</a>', 'x'],
    ['<?xml version="1.0" encoding="UTF-8"?>\n<!-- c --><a>x</a>\n<!-- c -->', 'x'],
    ['<a><![CDATA[<&>]]></a>', '<&>'],
    ['<a>x<!-- c -->y</a>', 'xy'],
    ['<a>&lt;&amp;&gt;&quot;&apos;&#65;&#x42;</a>', '<&>"\'AB'],
    ['<a> x\ty </a>', ' x\ty '],
    ['<a>x\r\ny</a>', 'x\ny'],
    ['<a>x&#13;y</a>', 'x\ry'],
    ['<a>&#x1;&#x01;&#x1F;&#31;&#x7f;&#8;</a>', '\u0001\u0001\u001f\u001f\u007f\b'],
    ['<a>&#x1;\u0085\u2028&#x85;&#x2028;\r\n</a>', '\u0001\u0085\u2028\u0085\u2028\n'],
    ['<a>\u0085\u2028\r\n</a>', '\u0085\u2028\n'],
    ['<a></a>', ''],
    ['<a/>', ''],
    ['<a><?php x ?></a>', ''],
  ])('%j is read as %j', (document, text) => {
    expect(parse(document)).toEqual({ name: 'a', attributes: {}, children: [], text })
  })

  test('white space between elements is lost, inside of them it is kept', () => {
    const root = parse('<a>\n  <b> x </b>\n  <b>y</b>\n</a>')
    expect(root.text).toBe('')
    expect(root.children.map(({ text }) => text)).toEqual([' x ', 'y'])
    expect(childText(root, 'b')).toBe(' x ')
    expect(childText(root, 'c')).toBe('')
  })

  test.each([
    ['nothing', ''],
    ['white space', ' \n'],
    ['text', 'hello'],
    ['JSON', '{"a": 1}'],
    ['an open element', '<a>'],
    ['crossed elements', '<a><b></a></b>'],
    ['two roots', '<a/><b/>'],
    ['text behind the root', '<a/>x'],
    ['a bare ampersand', '<a>a & b</a>'],
    ['an unknown entity', '<a>&nbsp;</a>'],
    ['an attribute twice', '<a b="1" b="2"/>'],
    ['an attribute without quotes', '<a b=1/>'],
    ['a control character', '<a>\u0001</a>'],
    ['a control character beside a reference to it', '<a>&#1;\u0001</a>'],
    ['a reference to NUL', '<a>&#0;</a>'],
    ['a reference to NUL beside another', '<a>&#1;&#x0;</a>'],
    ['a reference to a control character in a document with CDATA', '<a>&#1;<![CDATA[x]]></a>'],
    ['a reference to half a pair', '<a>&#xD800;</a>'],
    ['a reference beyond Unicode', '<a>&#x110000;</a>'],
    ['an empty document type', '<!DOCTYPE a><a/>'],
    ['an internal entity', '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'],
    ['an external entity', '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'],
    ['an external document type', '<!DOCTYPE a SYSTEM "http://127.0.0.1/a.dtd"><a/>'],
    [
      'a billion laughs',
      `<!DOCTYPE a [<!ENTITY a "a"><!ENTITY b "${'&a;'.repeat(10)}"><!ENTITY c "${'&b;'.repeat(10)}">]><a>&c;</a>`,
    ],
  ])('%s is refused', (_, document) => {
    expect(() => parse(document)).toThrow(XmlError)
  })

  test.each([
    ['UTF-16', Buffer.from('\uFEFF<a>x</a>', 'utf16le')],
    ['bytes that are no UTF-8 in a name', Buffer.from('<\xff/>', 'latin1')],
    ['random bytes', Buffer.from([0, 1, 2, 0xff, 0xfe])],
    ['text that is no UTF-8', Buffer.from('<a>\xe9</a>', 'latin1')],
  ])('%s is refused', (_, bytes) => {
    expect(() => parseXml(bytes, limits)).toThrow(XmlError)
  })

  const nested = (depth: number): string => '<a>'.repeat(depth) + '</a>'.repeat(depth)

  test('depth has a limit', () => {
    expect(() => parse(nested(16))).not.toThrow()
    expect(() => parse(nested(17))).toThrow(XmlError)
    expect(() => parse('<a>'.repeat(500_000))).toThrow(XmlError)
  })

  test('the number of elements has a limit', () => {
    expect(parse(`<a>${'<b/>'.repeat(199_999)}</a>`).children).toHaveLength(199_999)
    expect(() => parse(`<a>${'<b/>'.repeat(200_000)}</a>`)).toThrow(XmlError)
  })

  test('the size has a limit', () => {
    const document = Buffer.from('<a>x</a>')
    expect(parseXml(document, { maxBytes: document.length }).text).toBe('x')
    expect(() => parseXml(document, { maxBytes: document.length - 1 })).toThrow(XmlError)
  })

  test('names of object properties are names like any other', () => {
    const root = parse('<a __proto__="x"><__proto__>y</__proto__><constructor>z</constructor></a>')
    expect(Object.keys(root.attributes)).toEqual(['__proto__'])
    expect(childText(root, '__proto__')).toBe('y')
    expect(childText(root, 'toString')).toBe('')
  })

  test('any bytes give an element or an XmlError', () => {
    const pieces = fc
      .array(
        fc.constantFrom(
          '<a>',
          '</a>',
          '<b',
          '/>',
          '>',
          '&',
          '&#',
          ';',
          '<![CDATA[',
          ']]>',
          '<!--',
          '-->',
          '<?',
          '?>',
          'x',
          '"',
          "='",
          '\u0000',
        ),
        { maxLength: 12 },
      )
      .map((list) => Buffer.from(list.join('')))
    const bytes = fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array))
    fc.assert(
      fc.property(fc.oneof(pieces, bytes), (document) => {
        expect(orXmlError(document)).toEqual(expect.anything())
      }),
      { numRuns: slow ? 100_000 : 2000 },
    )
  })
})

function orXmlError(document: Buffer): XmlElement | XmlError {
  try {
    return parseXml(document, limits)
  } catch (error) {
    if (error instanceof XmlError) return error
    throw error
  }
}

describe('documents', () => {
  test("a client's faulty document is MalformedXML", () => {
    const parseClient = () => parseRequestXml(Buffer.from('<a>'), limits)
    expect(parseClient).toThrow(S3Error)
    expect(parseClient).toThrow(expect.objectContaining({ code: 'MalformedXML', status: 400 }))
  })

  test("S3's namespace stands at the root only", () => {
    expect(s3Document(element('Result', [element('Key', 'k')]))).toBe(
      '<?xml version="1.0" encoding="UTF-8"?>\n' +
        '<Result xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Key>k</Key></Result>',
    )
  })

  test('an error document says what S3 says', () => {
    const error = new S3Error('NoSuchKey', 'No <key> "a"', { fields: { Key: 'a&b' } })
    const document = errorDocument(error, { resource: '/bucket/<a>', requestId: 'ABC' })
    expect(document).toBe(
      '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code>' +
        '<Message>No &lt;key&gt; &quot;a&quot;</Message><Key>a&amp;b</Key>' +
        '<Resource>/bucket/&lt;a&gt;</Resource><RequestId>ABC</RequestId></Error>',
    )
  })
})
