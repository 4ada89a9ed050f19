import { createHash } from 'node:crypto'

/**
 * A request as it is signed. All strings are byte strings (one char a byte, as `node:http` gives
 * them); header names are in lower case.
 */
export interface SignableRequest {
  readonly method: string
  /** The path of the request line, without query. */
  readonly rawPath: string
  /** Without the question mark. */
  readonly rawQuery: string
  readonly headers: Readonly<Record<string, string>>
}

export const emptySha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

/** SHA-256 of a byte string, in hex. */
export function sha256Hex(text: string | Buffer): string {
  const hash = createHash('sha256')
  return (typeof text === 'string' ? hash.update(text, 'latin1') : hash.update(text)).digest('hex')
}

/**
 * The canonical request of Signature Version 4 with the rules of S3: the path is decoded once and
 * encoded strictly, never normalised ("Create a canonical request", AWS IAM guide).
 */
export function canonicalRequest(
  request: SignableRequest,
  signedHeaders: readonly string[],
  options: { readonly payloadHash: string; readonly omitQuery?: string },
): string {
  // A name such as `constructor` is a header only if the request has it.
  const value = (name: string): string =>
    Object.hasOwn(request.headers, name) ? (request.headers[name] ?? '') : ''
  const headers = signedHeaders.map((name) => `${name}:${canonicalValue(value(name))}\n`)
  return [
    request.method,
    canonicalPath(request.rawPath),
    canonicalQuery(request.rawQuery, options.omitQuery),
    headers.join(''),
    signedHeaders.join(';'),
    options.payloadHash,
  ].join('\n')
}

/** Without `trim`, which takes the byte A0 for a space: it ends the UTF-8 of many letters. */
function canonicalValue(value: string): string {
  return value.replace(/[ \t]+/g, ' ').replace(/^ | $/g, '')
}

/** Servers sign the decoded path: `%2F` is a slash to them, in the key as in the signature. */
function canonicalPath(rawPath: string): string {
  return strictEncoding(rawPath).replaceAll('%2F', '/') || '/'
}

function canonicalQuery(rawQuery: string, omit: string | undefined): string {
  return rawQuery
    .split('&')
    .filter((part) => part !== '')
    .map((part): [string, string] => {
      const at = part.indexOf('=')
      const name = at < 0 ? part : part.slice(0, at)
      return [strictEncoding(name), at < 0 ? '' : strictEncoding(part.slice(at + 1))]
    })
    .filter(([name]) => name !== omit)
    .toSorted(([a, x], [b, y]) => compare(a, b) || compare(x, y))
    .map(([name, value]) => `${name}=${value}`)
    .join('&')
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

/** Decodes percent escapes and encodes every byte but the unreserved ones (RFC 3986 §2.3). */
function strictEncoding(text: string): string {
  if (/^[A-Za-z0-9._~-]*$/.test(text)) return text
  return text
    .replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
    .replace(/[^A-Za-z0-9._~-]/g, (char) => {
      const code = char.charCodeAt(0)
      return `%${code.toString(16).toUpperCase().padStart(2, '0')}`
    })
}
