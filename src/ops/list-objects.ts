import { toClientEtag } from '../s3/etag.ts'
import { forwardedHeaders } from '../s3/request-headers.ts'
import { clientResponseHeaders } from '../s3/response-headers.ts'
import { queryValue } from '../s3/target.ts'
import { childText, serializeXml, type XmlElement } from '../s3/xml.ts'
import { backendRequest, forwardedQuery, readXml } from './backend-call.ts'
import { tolerateOutage } from './layout-record.ts'
import { listedSizes, type ListedObject } from './listed-sizes.ts'
import { requestBucket } from './object-place.ts'
import type { OperationContext, OperationHandler } from './operation.ts'
import type { Services } from './services.ts'

const entryNames: ReadonlySet<string> = new Set(['Contents', 'Version'])

/** ListObjects, ListObjectsV2 and ListObjectVersions with plaintext sizes and client ETags. */
export function listObjects(services: Services): OperationHandler {
  return async (context) => {
    const response = await services.backend.send(
      backendRequest(context, {
        method: 'GET',
        query: forwardedQuery(context.target),
        headers: forwardedHeaders(context.headers),
      }),
    )
    const list = await readXml(response)
    const entries = list.children.filter((child) => entryNames.has(child.name))
    const isUrlEncoded = childText(list, 'EncodingType') === 'url'
    const objects = entries.map((entry) => listedObject(entry, isUrlEncoded))
    const sizes = await listedSizes(context, services, objects)
    const rewritten = new Map(entries.map((entry, i) => [entry, rewriteEntry(entry, sizes[i])]))
    await noteEmptyBucket(context, services, list)
    const children = list.children.map((child) => rewritten.get(child) ?? child)
    context.response.send(
      200,
      { ...clientResponseHeaders(response.headers), 'content-type': 'application/xml' },
      serializeXml({ ...list, children }),
    )
  }
}

function listedObject(entry: XmlElement, isUrlEncoded: boolean): ListedObject {
  const key = childText(entry, 'Key')
  return {
    key: isUrlEncoded ? decodeListedKey(key) : key,
    etag: childText(entry, 'ETag').replaceAll('"', ''),
    storedSize: Number(childText(entry, 'Size')),
    versionId: childText(entry, 'VersionId') || null,
  }
}

/** Backends differ in how they encode keys under encoding-type=url; all these forms decode. */
function decodeListedKey(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '))
  } catch (error) {
    if (error instanceof URIError) return key
    throw error
  }
}

function rewriteEntry(entry: XmlElement, plainSize: number | undefined): XmlElement {
  return {
    ...entry,
    children: entry.children.flatMap((child) => {
      if (child.name === 'Size') return [{ ...child, text: String(plainSize ?? child.text) }]
      if (child.name === 'ETag') return [{ ...child, text: toClientEtag(child.text) }]
      return child.name === 'ChecksumAlgorithm' || child.name === 'ChecksumType' ? [] : [child]
    }),
  }
}

/** A bucket that is seen empty has, from then on, a record for each irregular object. */
async function noteEmptyBucket(
  context: OperationContext,
  services: Services,
  list: XmlElement,
): Promise<void> {
  const { target, operation } = context
  const names = ['prefix', 'marker', 'start-after', 'continuation-token', 'delimiter']
  const isWhole = names.every((name) => (queryValue(target, name) ?? '') === '')
  const isEmpty = !list.children.some(({ name }) =>
    /^(Contents|CommonPrefixes|Version|DeleteMarker)$/.test(name),
  )
  const bucket = requestBucket(context)
  if (operation === 'ListObjectVersions' || !isWhole || !isEmpty) return
  if (queryValue(target, 'max-keys') === '0' || services.layouts.isBucketComplete(bucket)) return
  await tolerateOutage(context, () => services.store.markRecordsComplete(bucket))
}
