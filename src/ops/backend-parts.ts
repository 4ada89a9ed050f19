import { childText, type XmlElement } from '../s3/xml.ts'
import {
  endRecordSize,
  hasOwnEndRecord,
  maxPartNumber,
  partPlainSize,
  type PlainBytes,
  type StoredBytes,
} from '../stream/sizes.ts'
import { backendRequest, buildQuery, readXml } from './backend-call.ts'
import type { OperationContext } from './operation.ts'
import type { Services } from './services.ts'

/** A part of an upload as the backend lists it. */
export interface BackendPart {
  readonly number: number
  /** Without quotes. */
  readonly etag: string
  readonly storedSize: StoredBytes
  readonly lastModified: string
}

export interface BackendParts {
  readonly parts: readonly BackendPart[]
  /** The first page of the backend's list, for all that it says besides the parts. */
  readonly firstPage: XmlElement
}

/** Reads all pages of ListParts; the parts come in ascending order. Throws BackendFailure. */
export async function listBackendParts(
  context: OperationContext,
  services: Services,
  uploadId: string,
): Promise<BackendParts> {
  const parts: BackendPart[] = []
  let firstPage: XmlElement | null = null
  let marker = 0
  for (;;) {
    const query = buildQuery({
      uploadId,
      'max-parts': '1000',
      'part-number-marker': marker > 0 ? String(marker) : undefined,
    })
    const page = await readXml(
      await services.backend.send(backendRequest(context, { method: 'GET', query })),
    )
    firstPage ??= page
    parts.push(...page.children.filter(({ name }) => name === 'Part').map(readPart))
    const next = parts.at(-1)?.number ?? 0
    if (childText(page, 'IsTruncated') !== 'true' || next <= marker) return { parts, firstPage }
    marker = next
  }
}

function readPart(row: XmlElement): BackendPart {
  return {
    number: Number(childText(row, 'PartNumber')),
    etag: childText(row, 'ETag').replaceAll('"', ''),
    storedSize: Number(childText(row, 'Size')),
    lastModified: childText(row, 'LastModified'),
  }
}

/**
 * The plaintext size of a part by its number and stored size; null if it can't be a part of ours.
 * In the zone (`docs/format.md` §4.4) the size without an own end record is taken.
 */
export function clientPartSize(part: BackendPart): PlainBytes | null {
  const withoutRecord = partPlainSize(part.storedSize)
  if (withoutRecord !== null && !hasOwnEndRecord(part.number, withoutRecord)) return withoutRecord
  const withRecord = partPlainSize(part.storedSize - endRecordSize)
  return withRecord !== null && hasOwnEndRecord(part.number, withRecord) ? withRecord : null
}

/** True for the part that Complete adds: an end record alone behind the client's parts. */
export function isAppendedRecord(part: BackendPart, all: readonly BackendPart[]): boolean {
  if (part.storedSize !== endRecordSize || all.length < 2) return false
  return part.number === maxPartNumber || part === all.at(-1)
}
