import type { BackendResponse } from '../backend/client.ts'
import { readBody } from '../backend/read-body.ts'
import { StateUnavailableError, type LayoutRecord } from '../state/ports.ts'
import type { Dek } from '../stream/dek.ts'
import { FormatError, IntegrityError, TruncationError } from '../stream/errors.ts'
import { Layout, uniformPartSize, type ObjectTail } from '../stream/layout.ts'
import { openObjectTail, tailSize } from '../stream/object-tail.ts'
import { PartOpener } from '../stream/part-opener.ts'
import {
  packageStoredSize,
  partStoredSize,
  endRecordSize,
  type StoredBytes,
} from '../stream/sizes.ts'
import { backendRequest, buildQuery, expectSuccess } from './backend-call.ts'
import { searchPartSizes } from './part-search.ts'
import { partSizes, tolerateOutage } from './layout-record.ts'
import type { KnownLayout } from './layout-cache.ts'
import type { OperationContext } from './operation.ts'
import type { Services } from './services.ts'
import { isSameVersion, storedObject, type StoredObject } from './stored-object.ts'

/**
 * The layout of a multipart object (`docs/format.md` §4.5): from this process's cache, from the
 * record of its Complete, from its sizes, or by searching its packages. Throws IntegrityError.
 */
export async function multipartLayout(
  context: OperationContext,
  services: Services,
  object: StoredObject & { readonly dek: Dek },
): Promise<KnownLayout> {
  const identity = { ...object.place, etag: object.etag, storedSize: object.storedSize }
  const cached = services.layouts.get(identity)
  if (cached) return cached
  const read = rangeReader(context, services, object)
  const start = Math.max(0, object.storedSize - tailSize)
  const tail = openObjectTail(object.dek, await read(start, object.storedSize))
  const known =
    (await recordedLayout(context, services, { object, tail })) ??
    (await inferredLayout(object, tail, read)) ??
    (await discoverLayout(object, tail, read))
  services.layouts.set(identity, known)
  return known
}

/**
 * Searches the layout of an object whose inferred one proved wrong, and remembers it here and in
 * the state store.
 */
export async function rediscoverLayout(
  context: OperationContext,
  services: Services,
  object: StoredObject & { readonly dek: Dek },
): Promise<KnownLayout> {
  const read = rangeReader(context, services, object)
  const start = Math.max(0, object.storedSize - tailSize)
  const tail = openObjectTail(object.dek, await read(start, object.storedSize))
  const known = await discoverLayout(object, tail, read)
  services.layouts.set({ ...object.place, etag: object.etag, storedSize: object.storedSize }, known)
  await recordLayout(context, services, { object, known })
  return known
}

type RangeReader = (start: StoredBytes, end: StoredBytes) => Promise<Buffer>

function rangeReader(
  context: OperationContext,
  services: Services,
  object: StoredObject,
): RangeReader {
  const query = buildQuery({ versionId: object.versionId ?? undefined })
  return async (start, end) => {
    if (start >= end) throw new TruncationError('stored body is too small')
    const response: BackendResponse = await services.backend.send(
      backendRequest(context, {
        method: 'GET',
        bucket: object.place.bucket,
        key: object.place.key,
        query,
        headers: { range: `bytes=${start}-${end - 1}` },
      }),
    )
    const body = await readBody(await expectSuccess(response), end - start)
    if (response.status !== 206 || body.length !== end - start) {
      throw new TruncationError('backend answered another range than asked for')
    }
    if (!isSameVersion(object, storedObject(object.place, response))) {
      throw new FormatError('object changed while it was read')
    }
    return body
  }
}

async function recordedLayout(
  context: OperationContext,
  services: Services,
  { object, tail }: { object: StoredObject; tail: ObjectTail },
): Promise<KnownLayout | null> {
  const { bucket, key } = object.place
  try {
    const records = await services.store.findLayouts(bucket, [key])
    const record = records.find((candidate) => describes(candidate, object, tail))
    if (!record) return null
    const layout = Layout.listed(tail, record.partSizes)
    return layout.storedSize === object.storedSize ? { layout, origin: 'recorded' } : null
  } catch (error) {
    if (!(error instanceof StateUnavailableError)) throw error
    context.log.warn({ err: error }, 'state store unavailable: layout is computed or searched')
    return null
  }
}

function describes(record: LayoutRecord, object: StoredObject, tail: ObjectTail): boolean {
  return (
    record.storedSize === object.storedSize &&
    (record.etag === null || record.etag === object.etag) &&
    record.partSizes.length === tail.lastPart &&
    record.partSizes.at(-1) === tail.lastPartSize
  )
}

async function inferredLayout(
  object: StoredObject & { readonly dek: Dek },
  tail: ObjectTail,
  read: RangeReader,
): Promise<KnownLayout | null> {
  const size = uniformPartSize(tail, object.storedSize)
  if (size === null) return null
  const layout = Layout.uniform(tail, size)
  if (size > 0 && tail.lastPart > 1 && !(await opensFirstPackage(object.dek, size, read)))
    return null
  return { layout, origin: 'inferred' }
}

async function opensFirstPackage(dek: Dek, size: number, read: RangeReader): Promise<boolean> {
  const opener = new PartOpener(dek.partKey(1, size), size, { first: 0, end: 1 })
  try {
    opener.push(await read(0, Math.min(packageStoredSize, partStoredSize(size))), [])
    return true
  } catch (error) {
    if (error instanceof IntegrityError) return false
    throw error
  }
}

async function discoverLayout(
  object: StoredObject & { readonly dek: Dek },
  tail: ObjectTail,
  read: RangeReader,
): Promise<KnownLayout> {
  const endOffset = object.storedSize - tail.endRecords * endRecordSize
  const sizes = await searchPartSizes(object.dek, { tail, endOffset, read })
  return { layout: Layout.listed(tail, sizes), origin: 'discovered' }
}

async function recordLayout(
  context: OperationContext,
  services: Services,
  { object, known }: { object: StoredObject; known: KnownLayout },
): Promise<void> {
  await tolerateOutage(context, () =>
    services.store.putLayout({
      ...object.place,
      backendUploadId: `found:${object.etag}`,
      etag: object.etag,
      storedSize: object.storedSize,
      partSizes: partSizes(known.layout),
    }),
  )
}
