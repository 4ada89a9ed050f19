import type { CompletedPart } from '../s3/complete-request.ts'
import { S3Error } from '../s3/errors.ts'
import { toBackendEtag } from '../s3/etag.ts'
import type { EndRecord } from '../stream/end-record.ts'
import {
  endRecordSize,
  isInZone,
  maxPartNumber,
  maxStoredObjectSize,
  minPartSize,
  partStoredSize,
  type PlainBytes,
} from '../stream/sizes.ts'
import { clientPartSize, type BackendPart } from './backend-parts.ts'

/** The backend's rows of the parts that the client names. Throws InvalidPart and InvalidPartOrder. */
export function matchParts(
  named: readonly CompletedPart[],
  listed: readonly BackendPart[],
): BackendPart[] {
  // Some servers (SeaweedFS) list every attempt at a part: the ETag tells which one is meant.
  const byAttempt = new Map(listed.map((part) => [`${part.number} ${part.etag}`, part]))
  return named.map(({ number, etag }, index) => {
    const part = byAttempt.get(`${number} ${toBackendEtag(etag.replaceAll('"', ''))}`)
    if (!part) {
      throw new S3Error(
        'InvalidPart',
        "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
        { fields: { PartNumber: String(number), ETag: etag } },
      )
    }
    if (number !== index + 1) {
      throw new S3Error(
        'InvalidPartOrder',
        'The parts must be numbered from 1 without a gap: a missing part could not be told from a gap in an encrypted object.',
      )
    }
    return part
  })
}

/** What Complete has to do, once the parts are known to be right. */
export interface Completion {
  readonly parts: readonly BackendPart[]
  readonly partSizes: readonly PlainBytes[]
  /** The end record to append; null if the last part carries its own. */
  readonly endRecord: EndRecord | null
  readonly storedSize: number
}

/** Checks the parts' sizes. Throws EntityTooSmall, EntityTooLarge, InvalidPart. */
export function planCompletion(parts: readonly BackendPart[]): Completion {
  const last = parts.at(-1)
  if (!last) throw new S3Error('MalformedXML', 'No part is named.')
  const partSizes = parts.map((part) => {
    const size = clientPartSize(part)
    if (part !== last && part.storedSize < partStoredSize(minPartSize)) {
      throw new S3Error(
        'EntityTooSmall',
        'Your proposed upload is smaller than the minimum allowed size',
        { fields: { PartNumber: String(part.number), MinSizeAllowed: String(minPartSize) } },
      )
    }
    if (size !== null) return size
    throw new S3Error('InvalidPart', `Part ${part.number} was not uploaded through this proxy.`)
  })
  const endRecord = recordToAppend(last, partSizes.at(-1) ?? 0)
  const storedSize =
    parts.reduce((sum, part) => sum + part.storedSize, 0) + (endRecord ? endRecordSize : 0)
  if (storedSize > maxStoredObjectSize) {
    throw new S3Error('EntityTooLarge', 'Your proposed upload exceeds the maximum allowed size.')
  }
  return { parts, partSizes, endRecord, storedSize }
}

function recordToAppend(last: BackendPart, lastSize: PlainBytes): EndRecord | null {
  if (last.storedSize < minPartSize || last.number === maxPartNumber) return null
  const lastPartSize = isInZone(last.storedSize)
    ? ({ kind: 'zone', storedSize: last.storedSize } as const)
    : ({ kind: 'plain', size: lastSize } as const)
  return { lastPart: last.number, lastPartSize, checksum: null }
}
