import type { ObjectChecksum } from './end-record.ts'
import { FormatError } from './errors.ts'
import {
  endRecordSize,
  maxPartNumber,
  partPlainSize,
  partStoredSize,
  type PlainBytes,
  type StoredBytes,
} from './sizes.ts'

/** One part in its object; offsets count from the object's first byte. */
export interface PartPlace {
  readonly number: number
  readonly size: PlainBytes
  readonly plainOffset: PlainBytes
  readonly storedOffset: StoredBytes
}

/** The end of an object as its end records state it. */
export interface ObjectTail {
  /** N. */
  readonly lastPart: number
  readonly lastPartSize: PlainBytes
  /** Set if the object's last record is a zone record: the stored size that it states. */
  readonly zoneStoredSize: StoredBytes | null
  readonly endRecords: 1 | 2
  readonly checksum: ObjectChecksum | null
}

/** Where each part of a non-empty object lies, in plaintext and as stored. */
export class Layout {
  readonly tail: ObjectTail
  readonly plainSize: PlainBytes
  /** Offset of the first end record. */
  readonly endOffset: StoredBytes
  readonly #uniformSize: PlainBytes | null
  readonly #places: readonly PartPlace[]

  private constructor(
    tail: ObjectTail,
    parts: { uniformSize: PlainBytes | null; places: readonly PartPlace[] },
  ) {
    this.tail = tail
    this.#uniformSize = parts.uniformSize
    this.#places = parts.places
    const last = this.part(tail.lastPart)
    this.plainSize = last.plainOffset + last.size
    this.endOffset = last.storedOffset + partStoredSize(last.size)
  }

  /** A single PUT of `plainSize` > 0 bytes. */
  static single(plainSize: PlainBytes): Layout {
    return Layout.uniform(
      {
        lastPart: 1,
        lastPartSize: plainSize,
        zoneStoredSize: null,
        endRecords: 1,
        checksum: null,
      },
      plainSize,
    )
  }

  /** All parts but the last have `size` bytes. */
  static uniform(tail: ObjectTail, size: PlainBytes): Layout {
    return new Layout(tail, { uniformSize: size, places: [] })
  }

  /** Parts 1…N as listed. Throws FormatError if they contradict the tail or one is empty inside. */
  static listed(tail: ObjectTail, sizes: readonly PlainBytes[]): Layout {
    if (sizes.length !== tail.lastPart || sizes.at(-1) !== tail.lastPartSize) {
      throw new FormatError("the sizes are not those of the object's end record")
    }
    if (sizes.slice(0, -1).includes(0)) throw new FormatError('a part before the last is empty')
    let plainOffset = 0
    let storedOffset = 0
    const places = sizes.map((size, index) => {
      const place = { number: index + 1, size, plainOffset, storedOffset }
      plainOffset += size
      storedOffset += partStoredSize(size)
      return place
    })
    return new Layout(tail, { uniformSize: null, places })
  }

  get partCount(): number {
    return this.tail.lastPart
  }

  get storedSize(): StoredBytes {
    return this.endOffset + this.tail.endRecords * endRecordSize
  }

  /** The part of this number. Throws RangeError outside 1…N. */
  part(number: number): PartPlace {
    if (number < 1 || number > this.partCount) throw new RangeError(`no part ${number}`)
    const size = this.#uniformSize
    if (size === null) {
      const place = this.#places[number - 1]
      if (!place) throw new RangeError(`no part ${number}`)
      return place
    }
    return {
      number,
      size: number === this.partCount ? this.tail.lastPartSize : size,
      plainOffset: (number - 1) * size,
      storedOffset: (number - 1) * partStoredSize(size),
    }
  }

  /** The part that holds the plaintext byte at `offset` < plainSize. */
  partAt(offset: PlainBytes): PartPlace {
    const size = this.#uniformSize
    if (size !== null) return this.part(Math.min(Math.floor(offset / size) + 1, this.partCount))
    let low = 1
    let high = this.partCount
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if (this.part(middle).plainOffset <= offset) low = middle
      else high = middle - 1
    }
    return this.part(low)
  }
}

/**
 * The one part size that all parts but the last would have in an object of this stored size; null
 * if there is none, so that the parts must differ in size. A candidate still has to be confirmed.
 */
export function uniformPartSize(tail: ObjectTail, storedSize: StoredBytes): PlainBytes | null {
  const rest = storedSize - endRecordSize * tail.endRecords - partStoredSize(tail.lastPartSize)
  if (tail.lastPart === 1) return rest === 0 ? tail.lastPartSize : null
  const count = tail.lastPart - 1
  if (rest <= 0 || rest % count !== 0 || tail.lastPart > maxPartNumber) return null
  return partPlainSize(rest / count)
}
