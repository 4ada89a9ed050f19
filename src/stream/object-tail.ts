import type { Dek } from './dek.ts'
import { openEndRecord, type EndRecord } from './end-record.ts'
import { FormatError, IntegrityError, TruncationError } from './errors.ts'
import type { ObjectTail } from './layout.ts'
import { endRecordSize, partPlainSize, partStoredSize } from './sizes.ts'

/** Bytes that a reader of a multipart body fetches from its end to learn its tail. */
export const tailSize = 2 * endRecordSize

/**
 * Learns the tail of a multipart body from its last bytes: {@link tailSize} of them, or all if it
 * has fewer (`docs/format.md` §4.4). Throws IntegrityError.
 */
export function openObjectTail(dek: Dek, end: Buffer): ObjectTail {
  if (end.length < endRecordSize) throw new TruncationError('body is smaller than an end record')
  const record = openEndRecord(dek, end.subarray(-endRecordSize))
  const { lastPart, checksum, lastPartSize } = record
  if (lastPartSize.kind === 'plain') {
    return {
      lastPart,
      lastPartSize: lastPartSize.size,
      zoneStoredSize: null,
      endRecords: 1,
      checksum,
    }
  }
  const { storedSize } = lastPartSize
  const own = ownRecord(dek, end.subarray(-tailSize, -endRecordSize))
  const zone = { lastPart, zoneStoredSize: storedSize, checksum }
  if (own !== null) {
    const inner = own.lastPartSize
    if (
      own.lastPart !== lastPart ||
      inner.kind !== 'plain' ||
      partStoredSize(inner.size) + endRecordSize !== storedSize
    ) {
      throw new FormatError('the two end records contradict each other')
    }
    return { ...zone, lastPartSize: inner.size, endRecords: 2 }
  }
  const size = partPlainSize(storedSize)
  if (size === null) throw new FormatError(`zone record states an impossible size ${storedSize}`)
  return { ...zone, lastPartSize: size, endRecords: 1 }
}

function ownRecord(dek: Dek, bytes: Buffer): EndRecord | null {
  if (bytes.length < endRecordSize) return null
  try {
    return openEndRecord(dek, bytes)
  } catch (error) {
    // In the zone these bytes may as well be the end of a part stream: then nothing opens.
    if (error instanceof IntegrityError) return null
    throw error
  }
}
