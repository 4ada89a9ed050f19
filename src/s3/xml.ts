import { isUtf8 } from 'node:buffer'
import { SaxesParser } from 'saxes'
import { S3Error, type S3Error as S3ErrorType } from './errors.ts'

/** An element without mixed content: text if it has no children. White space between them is lost. */
export interface XmlElement {
  readonly name: string
  readonly attributes: Readonly<Record<string, string>>
  readonly children: readonly XmlElement[]
  readonly text: string
}

/** The text isn't well-formed XML, or is larger or deeper than allowed. */
export class XmlError extends Error {
  override readonly name = 'XmlError'
}

export interface XmlLimits {
  readonly maxBytes: number
}

const maxDepth = 16
const maxElements = 200_000
const declaration = '<?xml version="1.0" encoding="UTF-8"?>\n'
const namespace = 'http://s3.amazonaws.com/doc/2006-03-01/'

interface OpenElement {
  readonly name: string
  readonly attributes: Record<string, string>
  readonly children: XmlElement[]
  text: string
}

/** Parses a document; DTDs are refused, so there are no entities to expand. Throws XmlError. */
export function parseXml(bytes: Buffer, limits: XmlLimits): XmlElement {
  if (bytes.length > limits.maxBytes) throw new XmlError('document is too large')
  if (!isUtf8(bytes)) throw new XmlError('document is not UTF-8')
  const stack: OpenElement[] = [{ name: '', attributes: {}, children: [], text: '' }]
  let elements = 0
  const { text: document, version } = withVersion(bytes.toString('utf8'))
  const parser = new SaxesParser({
    xmlns: false,
    defaultXMLVersion: version,
    forceXMLVersion: true,
  })
  parser.on('error', (error) => {
    throw new XmlError(error.message)
  })
  parser.on('doctype', () => {
    throw new XmlError('document types are not allowed')
  })
  parser.on('opentag', ({ name, attributes }) => {
    elements += 1
    if (stack.length > maxDepth || elements > maxElements)
      throw new XmlError('document is too deep')
    stack.push({ name, attributes, children: [], text: '' })
  })
  const addText = (text: string): void => {
    const top = stack.at(-1)
    if (top) top.text += text
  }
  parser.on('text', addText)
  parser.on('cdata', addText)
  parser.on('closetag', () => {
    const closed = stack.pop()
    if (!closed) return
    const text = closed.children.length > 0 ? '' : closed.text
    stack.at(-1)?.children.push({ ...closed, text })
  })
  parser.write(document).close()
  const [root] = stack[0]?.children ?? []
  if (!root) throw new XmlError('document is empty')
  return root
}

/**
 * S3 writes control characters of keys as references, which XML 1.0 forbids and XML 1.1 allows. What
 * 1.1 in turn forbids or takes for a line end, unlike 1.0, must become a reference then.
 */
function withVersion(text: string): { text: string; version: '1.0' | '1.1' } {
  const hasControl = /&#(x0*(7f|1?[0-9a-f])|0*([12]?[0-9]|3[01]|127));/i.test(text)
  if (!hasControl || text.includes('<![CDATA[')) return { text, version: '1.0' }
  return { text: text.replace(/[\u007f-\u009f\u2028]/g, characterReference), version: '1.1' }
}

function characterReference(char: string): string {
  return `&#x${char.charCodeAt(0).toString(16).toUpperCase()};`
}

/** Parses a client's document. Throws S3Error MalformedXML. */
export function parseRequestXml(bytes: Buffer, limits: XmlLimits): XmlElement {
  try {
    return parseXml(bytes, limits)
  } catch (cause) {
    if (cause instanceof XmlError) throw malformedXml(cause)
    throw cause
  }
}

export function malformedXml(cause?: unknown): S3ErrorType {
  return new S3Error(
    'MalformedXML',
    'The XML you provided was not well-formed or did not validate against our published schema',
    { cause },
  )
}

/** The text of the first child of that name; '' if there is none. */
export function childText(parent: XmlElement, name: string): string {
  return parent.children.find((child) => child.name === name)?.text ?? ''
}

/**
 * The text of the one child of that name in a client's document; '' if there is none. Throws
 * MalformedXML if there are more, or if it isn't just text.
 */
export function requestText(parent: XmlElement, name: string): string {
  const [child, ...others] = parent.children.filter((candidate) => candidate.name === name)
  if (others.length > 0 || (child?.children.length ?? 0) > 0) throw malformedXml()
  return child?.text ?? ''
}

/** Makes an element from its text or its children. */
export function element(name: string, content: string | readonly XmlElement[]): XmlElement {
  return typeof content === 'string'
    ? { name, attributes: {}, children: [], text: content }
    : { name, attributes: {}, children: content, text: '' }
}

/** A document with this root, in UTF-8. */
export function serializeXml(root: XmlElement): string {
  return declaration + serializeElement(root)
}

/** A document whose root is in S3's namespace. */
export function s3Document(root: XmlElement): string {
  return serializeXml({ ...root, attributes: { xmlns: namespace, ...root.attributes } })
}

function serializeElement({ name, attributes, children, text }: XmlElement): string {
  const written = Object.entries(attributes).map(([key, value]) => ` ${key}="${escapeXml(value)}"`)
  const content = children.length > 0 ? children.map(serializeElement).join('') : escapeXml(text)
  return `<${name}${written.join('')}>${content}</${name}>`
}

/** Escapes markup, and control characters as S3 does. */
function escapeXml(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters in keys must survive
  return text.replace(/[&<>"\u0000-\u001f\u007f]/g, (char) => {
    switch (char) {
      case '&':
        return '&amp;'
      case '<':
        return '&lt;'
      case '>':
        return '&gt;'
      case '"':
        return '&quot;'
      default:
        return characterReference(char)
    }
  })
}

/** The error document of S3 ("Error responses", Amazon S3 API reference). */
export function errorDocument(
  error: Pick<S3ErrorType, 'code' | 'message' | 'fields'>,
  about: { readonly resource: string; readonly requestId: string },
): string {
  return serializeXml(
    element('Error', [
      element('Code', error.code),
      element('Message', error.message),
      ...Object.entries(error.fields).map(([name, value]) => element(name, value)),
      element('Resource', about.resource),
      element('RequestId', about.requestId),
    ]),
  )
}
