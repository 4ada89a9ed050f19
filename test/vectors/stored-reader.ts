import { openDek } from '../../src/envelope/sealed-dek.ts'
import { parseEnvelope } from '../../src/envelope/envelope.ts'
import { searchPartSizes } from '../../src/ops/part-search.ts'
import type { Dek } from '../../src/stream/dek.ts'
import { FormatError, IntegrityError, TruncationError } from '../../src/stream/errors.ts'
import { Layout, uniformPartSize } from '../../src/stream/layout.ts'
import { ObjectOpener } from '../../src/stream/object-opener.ts'
import { openObjectTail, tailSize } from '../../src/stream/object-tail.ts'
import { endRecordSize, objectPlainSize } from '../../src/stream/sizes.ts'

export interface StoredVector {
  readonly bucket: string
  readonly key: string
  readonly ik: string
  readonly envelope: string
  readonly data: Buffer
  /** The stored size that the backend announces, if it isn't what it has. */
  readonly announced?: number
  /** Part sizes that the reader is told. */
  readonly sizes?: readonly number[]
}

export interface ReadResult {
  readonly released: Buffer
  readonly error: unknown
}

/** Reads an object held in memory with the product's own parts, as GetObject puts them together. */
export async function readStoredObject(vector: StoredVector): Promise<ReadResult> {
  const out: Buffer[] = []
  try {
    const envelope = parseEnvelope(vector.envelope)
    const { bucket, key } = vector
    const ik = Buffer.from(vector.ik, 'hex')
    const dek = openDek(ik, envelope.sealedDek, { bucket, key, layout: envelope.layout })
    const layout = await findLayout(dek, vector, envelope.layout)
    if (layout) {
      try {
        readAll(dek, layout.layout, { data: vector.data, out })
      } catch (error) {
        if (!layout.isInferred || !(error instanceof IntegrityError)) throw error
        // The client's next try: the inferred layout proved wrong, so it is searched.
        out.length = 0
        const searched = await searchLayout(dek, vector)
        readAll(dek, searched, { data: vector.data, out })
      }
    }
    return { released: Buffer.concat(out), error: null }
  } catch (error) {
    return { released: Buffer.concat(out), error }
  }
}

function readAll(dek: Dek, layout: Layout, { data, out }: { data: Buffer; out: Buffer[] }): void {
  if (layout.plainSize === 0) {
    if (layout.storedSize !== data.length) throw new FormatError('stored body of an empty object')
    return
  }
  const opener = new ObjectOpener(dek, layout, { start: 0, end: layout.plainSize })
  for (let i = 0; i < data.length; i += 100_000) opener.push(data.subarray(i, i + 100_000), out)
  opener.finish(out)
}

async function findLayout(
  dek: Dek,
  vector: StoredVector,
  kind: 'empty' | 'single' | 'multipart',
): Promise<{ layout: Layout; isInferred: boolean } | null> {
  const storedSize = vector.announced ?? vector.data.length
  if (kind !== 'multipart') {
    const plainSize = objectPlainSize(storedSize)
    if (plainSize === null || (kind === 'empty' ? storedSize > 0 : plainSize === 0)) {
      throw new FormatError('impossible stored size')
    }
    return plainSize === 0 ? null : { layout: Layout.single(plainSize), isInferred: false }
  }
  const tail = openObjectTail(dek, tailOf(vector))
  if (vector.sizes) {
    const layout = Layout.listed(tail, vector.sizes)
    if (layout.storedSize !== storedSize) throw new FormatError('sizes are not those of the body')
    return { layout, isInferred: false }
  }
  const size = uniformPartSize(tail, storedSize)
  if (size === null) return { layout: await searchLayout(dek, vector), isInferred: false }
  return { layout: Layout.uniform(tail, size), isInferred: tail.lastPart > 1 }
}

async function searchLayout(dek: Dek, vector: StoredVector): Promise<Layout> {
  const tail = openObjectTail(dek, tailOf(vector))
  const endOffset = vector.data.length - tail.endRecords * endRecordSize
  const read = (start: number, end: number): Promise<Buffer> => {
    if (start >= end || end > vector.data.length) {
      return Promise.reject(new TruncationError('outside of the body'))
    }
    return Promise.resolve(vector.data.subarray(start, end))
  }
  return Layout.listed(tail, await searchPartSizes(dek, { tail, endOffset, read }))
}

function tailOf({ data, announced }: StoredVector): Buffer {
  if (announced !== undefined && announced !== data.length) {
    throw new TruncationError('body is cut')
  }
  return data.subarray(-tailSize)
}
