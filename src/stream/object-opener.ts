import type { Dek } from './dek.ts'
import { openEndRecord, type EndRecord, type ObjectChecksum } from './end-record.ts'
import { FormatError, TruncationError } from './errors.ts'
import type { Layout, PartPlace } from './layout.ts'
import { PartOpener } from './part-opener.ts'
import {
  endRecordSize,
  packagePlainSize,
  packageStoredSize,
  partStoredSize,
  type PlainBytes,
  type StoredBytes,
} from './sizes.ts'

/** Half-open: `start` is in, `end` is out. */
export interface Span<Offset extends number> {
  readonly start: Offset
  readonly end: Offset
}

/** The stored bytes that a read of a non-empty plaintext span needs: whole packages. */
export function storedSpan(layout: Layout, span: Span<PlainBytes>): Span<StoredBytes> {
  const first = layout.partAt(span.start)
  const start = first.storedOffset + packageIndex(first, span.start) * packageStoredSize
  if (span.end === layout.plainSize) return { start, end: layout.storedSize }
  const last = layout.partAt(span.end - 1)
  const lastPackageEnd = (packageIndex(last, span.end - 1) + 1) * packageStoredSize
  return { start, end: last.storedOffset + Math.min(lastPackageEnd, partStoredSize(last.size)) }
}

function packageIndex(part: PartPlace, offset: PlainBytes): number {
  return Math.floor((offset - part.plainOffset) / packagePlainSize)
}

/**
 * Decrypts a non-empty plaintext span of an object from the bytes of {@link storedSpan}. A span
 * that reaches the object's end includes its end record; then the last bytes are held back until
 * the record has been verified.
 */
export class ObjectOpener {
  readonly stored: Span<StoredBytes>
  readonly #dek: Dek
  readonly #layout: Layout
  readonly #span: Span<PlainBytes>
  #part: PartOpener
  #partNumber: number
  /** Plaintext bytes to drop before the span begins. */
  #skip: PlainBytes
  #wanted: PlainBytes
  #held: Buffer | null = null
  #records = Buffer.alloc(0)
  #recordsExpected: number
  #checksum: ObjectChecksum | null = null

  constructor(dek: Dek, layout: Layout, span: Span<PlainBytes>) {
    if (span.start < 0 || span.start >= span.end || span.end > layout.plainSize) {
      throw new RangeError(`span ${span.start}…${span.end} of ${layout.plainSize} bytes`)
    }
    this.#dek = dek
    this.#layout = layout
    this.#span = span
    this.stored = storedSpan(layout, span)
    const first = layout.partAt(span.start)
    this.#partNumber = first.number
    this.#part = this.#openPart(first)
    this.#skip = (span.start - first.plainOffset) % packagePlainSize
    this.#wanted = span.end - span.start
    this.#recordsExpected = this.#reachesEnd ? layout.tail.endRecords * endRecordSize : 0
  }

  get #reachesEnd(): boolean {
    return this.#span.end === this.#layout.plainSize
  }

  /** The whole object's checksum as its end record states it, once `finish` has verified it. */
  get checksum(): ObjectChecksum | null {
    return this.#checksum
  }

  /** Takes the next stored bytes; emits verified plaintext of the span. Throws IntegrityError. */
  push(bytes: Buffer, out: Buffer[]): void {
    let offset = 0
    const opened: Buffer[] = []
    while (offset < bytes.length) {
      while (this.#part.remaining === 0 && this.#hasNextPart()) this.#nextPart()
      if (this.#part.remaining === 0) {
        this.#pushRecords(bytes.subarray(offset))
        break
      }
      const end = Math.min(bytes.length, offset + this.#part.remaining)
      this.#part.push(bytes.subarray(offset, end), opened)
      offset = end
    }
    for (const plain of opened) this.#release(plain, out)
  }

  /** Emits what was held back. Throws IntegrityError if bytes are missing or the end is wrong. */
  finish(out: Buffer[]): void {
    if (this.#wanted > 0 || this.#records.length < this.#recordsExpected) {
      throw new TruncationError('stored body ends too early')
    }
    if (this.#reachesEnd) this.#verifyRecords()
    if (this.#held) out.push(this.#held)
    this.#held = null
  }

  #openPart(place: PartPlace): PartOpener {
    const { start, end } = this.#span
    const first = start > place.plainOffset ? packageIndex(place, start) : 0
    const partEnd = place.plainOffset + place.size
    const key = this.#dek.partKey(place.number, place.size)
    return end < partEnd
      ? new PartOpener(key, place.size, { first, end: packageIndex(place, end - 1) + 1 })
      : new PartOpener(key, place.size, { first, end: Math.ceil(place.size / packagePlainSize) })
  }

  #hasNextPart(): boolean {
    return (
      this.#partNumber < this.#layout.partCount &&
      this.#layout.part(this.#partNumber + 1).plainOffset < this.#span.end
    )
  }

  #nextPart(): void {
    this.#partNumber += 1
    this.#part = this.#openPart(this.#layout.part(this.#partNumber))
  }

  #release(plain: Buffer, out: Buffer[]): void {
    const from = Math.min(this.#skip, plain.length)
    this.#skip -= from
    const kept = plain.subarray(from, from + this.#wanted)
    this.#wanted -= kept.length
    if (kept.length === 0) return
    if (!this.#reachesEnd) {
      out.push(kept)
      return
    }
    if (this.#held) out.push(this.#held)
    this.#held = kept
  }

  #pushRecords(bytes: Buffer): void {
    this.#records = Buffer.concat([this.#records, bytes])
    if (this.#records.length > this.#recordsExpected) {
      throw new TruncationError('stored body goes on behind its end')
    }
  }

  #verifyRecords(): void {
    const { tail } = this.#layout
    const last = openEndRecord(this.#dek, this.#records.subarray(-endRecordSize))
    const size = last.lastPartSize
    const matches =
      last.lastPart === tail.lastPart &&
      (size.kind === 'zone'
        ? size.storedSize === tail.zoneStoredSize
        : tail.zoneStoredSize === null && size.size === tail.lastPartSize)
    if (!matches) throw new FormatError("end record isn't the one of this layout")
    if (tail.endRecords === 2) {
      const own = openEndRecord(this.#dek, this.#records.subarray(0, endRecordSize))
      if (!isOwnRecord(own, this.#layout)) {
        throw new FormatError("first of two end records isn't the one of this layout")
      }
    }
    this.#checksum = last.checksum
  }
}

function isOwnRecord(record: EndRecord, layout: Layout): boolean {
  const { lastPart, lastPartSize } = layout.tail
  return (
    record.lastPart === lastPart &&
    record.lastPartSize.kind === 'plain' &&
    record.lastPartSize.size === lastPartSize
  )
}
