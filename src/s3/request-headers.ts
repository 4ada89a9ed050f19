import { S3Error } from './errors.ts'
import { toBackendConditional } from './etag.ts'
import type { HeaderMap, HeaderRecord } from './headers.ts'
import { reservedMetadataPrefix } from './reserved-metadata.ts'

const contentHeaderNames: ReadonlySet<string> = new Set([
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-type',
  'expires',
  'x-amz-website-redirect-location',
])

const conditionNames: ReadonlySet<string> = new Set([
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-unmodified-since',
])

/** What the backend is to do or check. All else describes the client's own body, signature or keys. */
const wishNames =
  /^x-amz-(acl|bucket-object-lock-enabled|bypass-governance-retention|expected-bucket-owner|grant-[a-z-]+|mfa|object-lock-(legal-hold|mode|retain-until-date)|object-ownership|optional-object-attributes|request-payer|source-expected-bucket-owner|storage-class|tagging|website-redirect-location)$/

/** Content headers and user metadata: what an object keeps and copies take along. */
export function contentHeaders(headers: HeaderMap): HeaderRecord {
  return select(headers, (name) => contentHeaderNames.has(name) || isForeignMetadata(name))
}

/** Conditions on the object itself, on the backend's ETags. */
export function conditionalHeaders(headers: HeaderMap): HeaderRecord {
  return select(headers, (name) => conditionNames.has(name))
}

/** What of a client's request goes along when an object is written or an upload begun. */
export function objectWriteHeaders(headers: HeaderMap): HeaderRecord {
  const reserved = [...headers.keys()].find((name) => name.startsWith(reservedMetadataPrefix))
  if (reserved !== undefined) {
    throw new S3Error('InvalidArgument', `The metadata name ${reserved} is reserved.`, {
      fields: { ArgumentName: reserved },
    })
  }
  return { ...contentHeaders(headers), ...forwardedHeaders(headers) }
}

/** What goes along when an object is read. */
export function objectReadHeaders(headers: HeaderMap): HeaderRecord {
  return select(
    headers,
    (name) =>
      conditionNames.has(name) ||
      name === 'x-amz-request-payer' ||
      name === 'x-amz-expected-bucket-owner',
  )
}

/** What goes along with operations that the backend answers alone. */
export function forwardedHeaders(headers: HeaderMap): HeaderRecord {
  return select(
    headers,
    (name) => conditionNames.has(name) || name === 'content-type' || wishNames.test(name),
  )
}

function isForeignMetadata(name: string): boolean {
  return name.startsWith('x-amz-meta-') && !name.startsWith(reservedMetadataPrefix)
}

function select(headers: HeaderMap, isWanted: (name: string) => boolean): HeaderRecord {
  const selected: HeaderRecord = {}
  for (const [name, value] of headers) {
    if (!isWanted(name)) continue
    if (name === 'content-encoding') {
      const kept = withoutAwsChunked(value)
      if (kept !== '') selected[name] = kept
    } else {
      selected[name] = name.endsWith('-match') ? toBackendConditional(value) : value
    }
  }
  return selected
}

/** aws-chunked describes the transfer, not the object; some servers store it all the same. */
export function withoutAwsChunked(contentEncoding: string): string {
  return contentEncoding
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding.toLowerCase() !== 'aws-chunked')
    .join(',')
}
