import { createHash } from 'node:crypto'
import { forwardedHeaders } from '../s3/request-headers.ts'
import {
  backendRequest,
  discardBody,
  expectSuccess,
  forwardedQuery,
  readXml,
  relay,
} from './backend-call.ts'
import { tolerateOutage } from './layout-record.ts'
import { requestBucket } from './object-place.ts'
import type { OperationContext, OperationHandler } from './operation.ts'
import type { Services } from './services.ts'
import { readRequestBody } from './upload.ts'

/** Largest request body of an operation that is passed on as it is. */
const maxForwardedBodySize = 1024 * 1024

/** Operations that the backend answers alone: request and answer pass as they are. */
export function forward(services: Services): OperationHandler {
  return async (context) => relay(context, await forwardRequest(context, services))
}

async function forwardRequest(context: OperationContext, services: Services) {
  const body = await readRequestBody(context, maxForwardedBodySize)
  const request = backendRequest(context, {
    method: context.method,
    query: forwardedQuery(context.target),
    headers: { ...forwardedHeaders(context.headers), ...contentMd5(body) },
  })
  return services.backend.send(request, body.length > 0 ? body : undefined)
}

/** Some operations require Content-MD5; the body may have come in another framing than it goes. */
export function contentMd5(body: Buffer): { 'content-md5'?: string } {
  if (body.length === 0) return {}
  return { 'content-md5': createHash('md5').update(body).digest('base64') }
}

/**
 * CreateBucket: a new bucket has all its layout records from the start. Since S3 may answer
 * success for a bucket that was there before, it is looked at first.
 */
export function createBucket(services: Services): OperationHandler {
  return async (context) => {
    const response = await expectSuccess(await forwardRequest(context, services))
    const bucket = requestBucket(context)
    if (await isEmptyBucket(context, services)) {
      await tolerateOutage(context, () => services.store.markRecordsComplete(bucket))
    }
    await relay(context, response)
  }
}

async function isEmptyBucket(context: OperationContext, services: Services): Promise<boolean> {
  const response = await services.backend.send(
    backendRequest(context, { method: 'GET', query: 'list-type=2&max-keys=1' }),
  )
  if (response.status !== 200) {
    await discardBody(response)
    return false
  }
  const list = await readXml(response)
  return !list.children.some((child) => child.name === 'Contents')
}

/** DeleteBucket: what the state store knows of the bucket is forgotten with it. */
export function deleteBucket(services: Services): OperationHandler {
  return async (context) => {
    const response = await expectSuccess(await forwardRequest(context, services))
    const bucket = requestBucket(context)
    services.layouts.forgetBucket(bucket)
    await tolerateOutage(context, () => services.store.forgetBucket(bucket))
    await relay(context, response)
  }
}
