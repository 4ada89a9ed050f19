import type { ObjectPlace } from '../envelope/place.ts'
import type { OperationContext } from './operation.ts'

/** The object that a request names. Throws for requests that name none: routing excludes them. */
export function objectPlace(context: OperationContext): ObjectPlace {
  return { bucket: requestBucket(context), key: context.target.key }
}

/** The bucket that a request names. */
export function requestBucket(context: OperationContext): string {
  const { bucket } = context.target
  if (bucket === null) throw new Error(`${context.operation} without a bucket`)
  return bucket
}
