import { S3Error } from './errors.ts'

export interface QueryParameter {
  /** Decoded. */
  readonly name: string
  /** Decoded; '' if there was no value. */
  readonly value: string
}

/** What a request's target and Host name, with nothing normalised. */
export interface Target {
  /** The path of the request line, without query, exactly as it came. */
  readonly rawPath: string
  /** The query, without the question mark, exactly as it came; '' if none. */
  readonly rawQuery: string
  /** Null for requests to the service (ListBuckets). */
  readonly bucket: string | null
  /** The key as it stands in the path (percent-encoded); '' for requests to a bucket. */
  readonly rawKey: string
  /** The decoded key. */
  readonly key: string
  readonly query: readonly QueryParameter[]
}

export const maxKeySize = 1024

/** Names of the parameters of presigned URLs and SDKs, which change no operation's meaning. */
export const signatureParameters =
  /^(X-Amz-(Algorithm|Credential|Date|Expires|SignedHeaders|Signature|Content-Sha256|Security-Token)|x-id)$/

export interface TargetOptions {
  readonly host: string | undefined
  /** Domains whose subdomains are bucket names. */
  readonly virtualHostDomains: readonly string[]
}

/**
 * Parses a request target as it stands in the request line. Nothing is normalised: `..`, `//`,
 * `%2F` and `+` in a key mean what they say. Throws S3Error (InvalidURI, KeyTooLongError,
 * InvalidBucketName).
 */
export function parseTarget(rawTarget: string, options: TargetOptions): Target {
  if (!rawTarget.startsWith('/')) throw invalidUri()
  const at = rawTarget.indexOf('?')
  const rawPath = at < 0 ? rawTarget : rawTarget.slice(0, at)
  const rawQuery = at < 0 ? '' : rawTarget.slice(at + 1)
  const query = parseQuery(rawQuery)
  const hostBucket = virtualHostBucket(options)
  const path = rawPath.slice(1)
  const slash = path.indexOf('/')
  const rawBucket = hostBucket ?? (slash < 0 ? path : path.slice(0, slash))
  if (rawBucket === '') {
    if (path !== '') throw invalidBucketName('')
    return { rawPath, rawQuery, bucket: null, rawKey: '', key: '', query }
  }
  const bucket = decode(rawBucket)
  checkBucketName(bucket)
  const rawKey = hostBucket === null ? (slash < 0 ? '' : path.slice(slash + 1)) : path
  const key = decode(rawKey)
  checkKeySize(key)
  return { rawPath, rawQuery, bucket, rawKey, key, query }
}

function virtualHostBucket({ host, virtualHostDomains }: TargetOptions): string | null {
  const name = (host ?? '').replace(/:\d+$/, '').toLowerCase()
  if (virtualHostDomains.includes(name)) return null
  const [domain] = virtualHostDomains
    .filter((candidate) => name.endsWith(`.${candidate}`))
    .toSorted((a, b) => b.length - a.length)
  return domain === undefined ? null : name.slice(0, -domain.length - 1)
}

function parseQuery(rawQuery: string): QueryParameter[] {
  return rawQuery
    .split('&')
    .filter((part) => part !== '')
    .map((part) => {
      const at = part.indexOf('=')
      const [name, value] = at < 0 ? [part, ''] : [part.slice(0, at), part.slice(at + 1)]
      // In queries, unlike in paths, S3 and every form encoder take a plus for a space.
      return {
        name: decode(name.replaceAll('+', ' ')),
        value: decode(value.replaceAll('+', ' ')),
      }
    })
}

/** Decodes percent escapes of a byte string into the UTF-8 text that they stand for. */
function decode(raw: string): string {
  if (/^[!-$&-~ ]*$/.test(raw)) return raw
  if (/%(?![0-9A-Fa-f]{2})/.test(raw)) throw invalidUri()
  const bytes = Buffer.from(
    raw.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))),
    'latin1',
  )
  return decodeUtf8(bytes)
}

function decodeUtf8(bytes: Buffer): string {
  const text = bytes.toString('utf8')
  if (!Buffer.from(text, 'utf8').equals(bytes)) throw invalidUri()
  return text
}

function checkKeySize(key: string): void {
  const size = Buffer.byteLength(key)
  if (size <= maxKeySize) return
  throw new S3Error('KeyTooLongError', 'Your key is too long.', {
    fields: { Size: String(size), MaxSizeAllowed: String(maxKeySize) },
  })
}

function checkBucketName(bucket: string): void {
  const isValid = /^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/.test(bucket)
  if (!isValid || bucket.includes('..')) throw invalidBucketName(bucket)
}

function invalidBucketName(bucket: string): S3Error {
  return new S3Error('InvalidBucketName', 'The specified bucket is not valid.', {
    fields: { BucketName: bucket },
  })
}

function invalidUri(): S3Error {
  return new S3Error('InvalidURI', "Couldn't parse the specified URI.")
}

/** The value of a query parameter; null if it isn't there. */
export function queryValue(target: Target, name: string): string | null {
  return target.query.find((parameter) => parameter.name === name)?.value ?? null
}

/** Encodes a key for a request path: strictly, but for slashes. */
export function encodeKey(key: string): string {
  return key.split('/').map(encodeQueryValue).join('/')
}

/** Encodes every byte but the unreserved ones (RFC 3986 §2.3). */
export function encodeQueryValue(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

/** The source of a copy, decoded. */
export interface CopySource {
  readonly bucket: string
  readonly key: string
  readonly versionId: string | null
}

/**
 * Parses `x-amz-copy-source`: `[/]bucket/key[?versionId=ID]`, percent-encoded or not. Throws S3Error
 * (InvalidArgument, InvalidURI, KeyTooLongError, InvalidBucketName).
 */
export function parseCopySource(header: string): CopySource {
  const [rawPath, rawVersionId] = splitVersion(header)
  const path = decodeCopySource(rawPath).replace(/^\//, '')
  const slash = path.indexOf('/')
  const bucket = path.slice(0, Math.max(slash, 0))
  const key = path.slice(slash + 1)
  if (bucket === '' || key === '' || rawVersionId === '') {
    throw new S3Error('InvalidArgument', 'Copy Source must mention the source bucket and key.', {
      fields: { ArgumentName: 'x-amz-copy-source', ArgumentValue: header },
    })
  }
  checkBucketName(bucket)
  checkKeySize(key)
  return { bucket, key, versionId: rawVersionId === undefined ? null : decode(rawVersionId) }
}

function splitVersion(header: string): [string, string | undefined] {
  const at = header.lastIndexOf('?versionId=')
  return at < 0
    ? [header, undefined]
    : [header.slice(0, at), header.slice(at + '?versionId='.length)]
}

/** Some clients send the header unencoded: then a stray percent sign stands for itself. */
function decodeCopySource(raw: string): string {
  return /%(?![0-9A-Fa-f]{2})/.test(raw) ? decodeUtf8(Buffer.from(raw, 'latin1')) : decode(raw)
}
