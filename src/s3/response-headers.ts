import { toClientEtag } from './etag.ts'
import type { HeaderMap, HeaderRecord } from './headers.ts'
import { withoutAwsChunked } from './request-headers.ts'
import { reservedMetadataPrefix } from './reserved-metadata.ts'

/** What a backend's answer says of an object, a bucket or itself that is true for clients too. */
const keptNames: ReadonlySet<string> = new Set([
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-type',
  'etag',
  'expires',
  'last-modified',
  'retry-after',
  'x-amz-abort-date',
  'x-amz-abort-rule-id',
  'x-amz-archive-status',
  'x-amz-bucket-region',
  'x-amz-copy-source-version-id',
  'x-amz-delete-marker',
  'x-amz-expiration',
  'x-amz-missing-meta',
  'x-amz-object-lock-legal-hold',
  'x-amz-object-lock-mode',
  'x-amz-object-lock-retain-until-date',
  'x-amz-replication-status',
  'x-amz-request-charged',
  'x-amz-restore',
  'x-amz-storage-class',
  'x-amz-tagging-count',
  'x-amz-version-id',
  'x-amz-website-redirect-location',
])

/**
 * What of a backend's answer goes on to the client. What isn't known is dropped: it may describe
 * the connection, the stored bytes, our envelope, or lead clients past the proxy. The ETag becomes
 * the client's.
 */
export function clientResponseHeaders(headers: HeaderMap): HeaderRecord {
  const kept: HeaderRecord = {}
  for (const [name, value] of headers) {
    if (!isKept(name, value)) continue
    if (name === 'etag') kept[name] = toClientEtag(value)
    else if (name !== 'content-encoding') kept[name] = value
    else if (withoutAwsChunked(value) !== '') kept[name] = withoutAwsChunked(value)
  }
  return kept
}

function isKept(name: string, value: string): boolean {
  // A location on another host would be the backend's own.
  if (name === 'location') return /^\/(?!\/)/.test(value)
  if (name.startsWith('x-amz-meta-')) return !name.startsWith(reservedMetadataPrefix)
  return keptNames.has(name)
}
