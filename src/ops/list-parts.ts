import { S3Error } from '../s3/errors.ts'
import { toClientEtag } from '../s3/etag.ts'
import { queryValue } from '../s3/target.ts'
import { element, s3Document, type XmlElement } from '../s3/xml.ts'
import {
  clientPartSize,
  isAppendedRecord,
  listBackendParts,
  type BackendPart,
} from './backend-parts.ts'
import { objectPlace } from './object-place.ts'
import type { OperationContext, OperationHandler } from './operation.ts'
import type { Services } from './services.ts'
import { openUpload } from './upload-token.ts'

const maxPageSize = 1000

/** ListParts: the client's parts in plaintext sizes, paged after our own part has been left out. */
export function listParts(services: Services): OperationHandler {
  return async (context) => {
    const upload = await openUpload(context, services)
    upload.dek.destroy()
    const { parts, firstPage } = await listBackendParts(context, services, upload.backendUploadId)
    const marker = countParameter(context, 'part-number-marker', { fallback: 0 })
    const limit = Math.min(
      countParameter(context, 'max-parts', { fallback: maxPageSize }),
      maxPageSize,
    )
    const rest = latestAttempts(parts).filter(
      (part) => part.number > marker && !isAppendedRecord(part, parts),
    )
    const page = rest.slice(0, limit)
    const { bucket, key } = objectPlace(context)
    const kept = firstPage.children.filter(({ name }) =>
      ['Initiator', 'Owner', 'StorageClass'].includes(name),
    )
    context.response.send(
      200,
      { 'content-type': 'application/xml' },
      s3Document(
        element('ListPartsResult', [
          element('Bucket', bucket),
          element('Key', key),
          element('UploadId', upload.token),
          ...kept,
          element('PartNumberMarker', String(marker)),
          element('NextPartNumberMarker', String(page.at(-1)?.number ?? 0)),
          element('MaxParts', String(limit)),
          element('IsTruncated', String(page.length < rest.length)),
          ...page.map(partRow),
        ]),
      ),
    )
  }
}

/** Some servers (SeaweedFS) list every attempt at a part. */
function latestAttempts(parts: readonly BackendPart[]): BackendPart[] {
  const latest = new Map<number, BackendPart>()
  for (const part of parts) {
    const before = latest.get(part.number)
    if (!before || before.lastModified <= part.lastModified) latest.set(part.number, part)
  }
  return [...latest.values()]
}

function partRow(part: BackendPart): XmlElement {
  return element('Part', [
    element('PartNumber', String(part.number)),
    element('LastModified', part.lastModified),
    element('ETag', toClientEtag(`"${part.etag}"`)),
    element('Size', String(clientPartSize(part) ?? part.storedSize)),
  ])
}

function countParameter(
  context: OperationContext,
  name: string,
  { fallback }: { fallback: number },
): number {
  const text = queryValue(context.target, name)
  if (text === null || text === '') return fallback
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw new S3Error('InvalidArgument', `Provided ${name} not an integer or within integer range`, {
    fields: { ArgumentName: name, ArgumentValue: text },
  })
}
