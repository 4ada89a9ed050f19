import type { Dek } from '../stream/dek.ts'
import { FormatError, TruncationError } from '../stream/errors.ts'
import type { ObjectTail } from '../stream/layout.ts'
import { isFinalHeader, payloadSize, streamNonce } from '../stream/package-header.ts'
import { PartOpener } from '../stream/part-opener.ts'
import {
  packageHeaderSize,
  packagePlainSize,
  packageStoredSize,
  partStoredSize,
  type PlainBytes,
  type StoredBytes,
} from '../stream/sizes.ts'

export interface PartSearch {
  readonly tail: ObjectTail
  /** Offset of the first end record. */
  readonly endOffset: StoredBytes
  /** Reads the stored bytes from `start` up to `end`, which is at most `endOffset`. */
  read(start: StoredBytes, end: StoredBytes): Promise<Buffer>
}

/**
 * Finds the plaintext sizes of all parts of a multipart body by bisection: the nonce in the package
 * headers is the same throughout a part and in no other (`docs/format.md` §4.5). Each part found
 * is confirmed by opening its final package. Throws IntegrityError if the body isn't parts 1…N.
 */
export async function searchPartSizes(dek: Dek, search: PartSearch): Promise<PlainBytes[]> {
  const sizes: PlainBytes[] = []
  let offset = 0
  let guess = 0
  while (offset < search.endOffset) {
    const lastIndex = await findFinalPackage(search, offset, { guess })
    const header = await readHeader(search, offset + lastIndex * packageStoredSize)
    const size = lastIndex * packagePlainSize + payloadSize(header)
    await confirmPart(dek, search, { number: sizes.length + 1, size, offset, lastIndex })
    sizes.push(size)
    offset += partStoredSize(size)
    guess = lastIndex
  }
  if (search.tail.lastPartSize === 0) sizes.push(0)
  const { lastPart, lastPartSize } = search.tail
  if (offset !== search.endOffset || sizes.length !== lastPart || sizes.at(-1) !== lastPartSize) {
    throw new FormatError("the parts found are not those of the object's end record")
  }
  return sizes
}

/** Index of the part's final package; `guess` is tried first, since parts tend to be alike. */
async function findFinalPackage(
  search: PartSearch,
  offset: StoredBytes,
  { guess }: { guess: number },
): Promise<number> {
  const nonce = streamNonce(await readHeader(search, offset))
  const probe = async (index: number): Promise<'inner' | 'final' | 'outside'> => {
    const at = offset + index * packageStoredSize
    if (at + packageHeaderSize > search.endOffset) return 'outside'
    const header = await readHeader(search, at)
    if (!streamNonce(header).equals(nonce)) return 'outside'
    return isFinalHeader(header) ? 'final' : 'inner'
  }
  let low = 0
  let high = Math.floor((search.endOffset - offset) / packageStoredSize)
  let index = Math.min(guess, high)
  while (low <= high) {
    const found = await probe(index)
    if (found === 'final') return index
    if (found === 'inner') low = index + 1
    else high = index - 1
    index = Math.floor((low + high) / 2)
  }
  throw new FormatError(`no final package found for the part at ${offset}`)
}

async function readHeader(search: PartSearch, at: StoredBytes): Promise<Buffer> {
  return readInside(search, at, at + packageHeaderSize)
}

async function readInside(
  search: PartSearch,
  start: StoredBytes,
  end: StoredBytes,
): Promise<Buffer> {
  if (end > search.endOffset) throw new TruncationError('a package reaches beyond the parts')
  return search.read(start, end)
}

async function confirmPart(
  dek: Dek,
  search: PartSearch,
  part: { number: number; size: PlainBytes; offset: StoredBytes; lastIndex: number },
): Promise<void> {
  const { number, size, offset, lastIndex } = part
  const range = { first: lastIndex, end: lastIndex + 1 }
  const opener = new PartOpener(dek.partKey(number, size), size, range)
  const start = offset + lastIndex * packageStoredSize
  opener.push(await readInside(search, start, start + opener.remaining), [])
}
