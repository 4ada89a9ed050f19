import { StateUnavailableError, type LayoutRecord } from '../state/ports.ts'
import { S3Error } from '../s3/errors.ts'
import { IntegrityError } from '../stream/errors.ts'
import { minPartSize, objectPlainSize, partStoredSize } from '../stream/sizes.ts'
import {
  backendRequest,
  buildQuery,
  BackendFailure,
  discardBody,
  expectSuccess,
} from './backend-call.ts'
import { multipartLayout } from './multipart-layout.ts'
import { requestBucket } from './object-place.ts'
import type { OperationContext } from './operation.ts'
import type { Services } from './services.ts'
import { simplePlainSize, storedObject } from './stored-object.ts'

/** An object as a backend's list shows it. */
export interface ListedObject {
  readonly key: string
  /** The backend's, without quotes. */
  readonly etag: string
  readonly storedSize: number
  readonly versionId: string | null
}

/** Look-ups of one list that run at the same time. */
const maxParallelLookups = 16

/**
 * The plaintext size of each listed object. It follows from the stored size, except for multipart
 * objects whose parts aren't all of one size in whole packages: their sizes are in the state store.
 * Only where the store's records of the bucket may be incomplete, multipart objects are looked at.
 */
export async function listedSizes(
  context: OperationContext,
  services: Services,
  objects: readonly ListedObject[],
): Promise<number[]> {
  const sizes = objects.map((object) => objectPlainSize(object.storedSize))
  const entries = objects.map((object, index) => ({ object, index }))
  const large = entries.filter(
    ({ object, index }) => sizes[index] === null || object.storedSize > smallestIrregularSize,
  )
  if (large.length > 0) {
    const keys = large.map(({ object }) => object.key)
    const records = await knownRecords(context, services, keys)
    const isComplete = await hasCompleteRecords(context, services)
    const unknown = large.filter(({ object, index }) => {
      const record = records.find((candidate) => describes(candidate, object))
      if (!record) return sizes[index] === null || (!isComplete && hasSeveralParts(object))
      sizes[index] = record.partSizes.reduce((sum, size) => sum + size, 0)
      return record.partSizes.length === 0
    })
    await forEachParallel(unknown, async ({ object, index }) => {
      sizes[index] = (await lookUpSize(context, services, object)) ?? sizes[index] ?? null
    })
  }
  return objects.map((object, index) => sizes[index] ?? object.storedSize)
}

/** Irregular objects have at least two parts, all but the last of at least 5 MiB. */
const smallestIrregularSize = partStoredSize(minPartSize)

/** As far as an ETag can tell: S3's and nearly all servers' state the number of parts. */
function hasSeveralParts(object: ListedObject): boolean {
  return /-(?!1$)\d+$/.test(object.etag)
}

function describes(record: LayoutRecord, object: ListedObject): boolean {
  return (
    record.key === object.key &&
    record.storedSize === object.storedSize &&
    (record.etag === null || record.etag === object.etag)
  )
}

async function knownRecords(
  context: OperationContext,
  services: Services,
  keys: readonly string[],
): Promise<LayoutRecord[]> {
  try {
    return await services.store.findLayouts(requestBucket(context), keys)
  } catch (error) {
    if (!(error instanceof StateUnavailableError)) throw error
    return []
  }
}

async function hasCompleteRecords(context: OperationContext, services: Services): Promise<boolean> {
  const bucket = requestBucket(context)
  if (services.layouts.isBucketComplete(bucket)) return true
  try {
    const isComplete = await services.store.hasCompleteRecords(bucket)
    if (isComplete) services.layouts.setBucketComplete(bucket)
    return isComplete
  } catch (error) {
    if (!(error instanceof StateUnavailableError)) throw error
    return false
  }
}

/** The size that HEAD would show; null for objects that can't be read, which keep their own. */
async function lookUpSize(
  context: OperationContext,
  services: Services,
  listed: ListedObject,
): Promise<number | null> {
  const place = { bucket: requestBucket(context), key: listed.key }
  const identity = { ...place, etag: listed.etag, storedSize: listed.storedSize }
  const cached = services.layouts.get(identity)
  if (cached) return cached.layout.plainSize
  try {
    const query = buildQuery({ versionId: listed.versionId ?? undefined })
    const response = await services.backend.send(
      backendRequest(context, { method: 'HEAD', key: listed.key, query }),
    )
    await discardBody(await expectSuccess(response))
    const object = storedObject(place, response)
    if (object.envelope.layout !== 'multipart') return simplePlainSize(object)
    const dek = await services.keys.open(place, object.envelope)
    const { layout } = await multipartLayout(context, services, { ...object, dek })
    dek.destroy()
    return layout.plainSize
  } catch (error) {
    const isUnreadable =
      error instanceof IntegrityError || error instanceof S3Error || error instanceof BackendFailure
    if (!isUnreadable) throw error
    context.log.warn({ err: error, key: listed.key }, "an object's size couldn't be looked up")
    return null
  }
}

async function forEachParallel<T>(
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values()
  const worker = async (): Promise<void> => {
    for (const item of queue) await work(item)
  }
  await Promise.all(Array.from({ length: Math.min(maxParallelLookups, items.length) }, worker))
}
