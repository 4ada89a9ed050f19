import { toClientEtag } from './etag.ts'
import type { HeaderMap, HeaderRecord } from './headers.ts'
import { withoutAwsChunked } from './request-headers.ts'
import { reservedMetadataPrefix } from './reserved-metadata.ts'

const droppedNames: ReadonlySet<string> = new Set([
  'accept-ranges',
  'connection',
  'content-length',
  'content-md5',
  'content-range',
  'date',
  'keep-alive',
  'proxy-authenticate',
  'proxy-connection',
  'server',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'x-amz-mp-parts-count',
])

const droppedPrefixes = [
  reservedMetadataPrefix,
  'x-amz-checksum-',
  'x-amz-server-side-encryption',
  'seaweed-',
  'x-seaweed-',
]

/**
 * What of a backend's answer goes on to the client: not what describes the connection, the stored
 * bytes or our envelope. The ETag becomes the client's.
 */
export function clientResponseHeaders(headers: HeaderMap): HeaderRecord {
  const hops = new Set((headers.get('connection') ?? '').toLowerCase().split(/\s*,\s*/))
  const kept: HeaderRecord = {}
  for (const [name, value] of headers) {
    if (droppedNames.has(name) || hops.has(name)) continue
    if (droppedPrefixes.some((prefix) => name.startsWith(prefix))) continue
    if (name === 'etag') kept[name] = toClientEtag(value)
    else if (name === 'content-encoding') addUnlessEmpty(kept, name, withoutAwsChunked(value))
    else kept[name] = value
  }
  return kept
}

function addUnlessEmpty(headers: HeaderRecord, name: string, value: string): void {
  if (value !== '') headers[name] = value
}
