import { parseUploadToken } from '../envelope/upload-token.ts'
import { queryValue } from '../s3/target.ts'
import { IntegrityError } from '../stream/errors.ts'
import { backendRequest, buildQuery, expectSuccess, relay } from './backend-call.ts'
import { tolerateOutage } from './layout-record.ts'
import { requestBucket } from './object-place.ts'
import type { OperationHandler } from './operation.ts'
import type { Services } from './services.ts'

/**
 * AbortMultipartUpload. It needs no keys, so it works while the KMS is down, and accepts the
 * backend's own upload ids too: uploads that were begun elsewhere can be cleaned up.
 */
export function abortMultipartUpload(services: Services): OperationHandler {
  return async (context) => {
    const uploadId = backendUploadId(queryValue(context.target, 'uploadId') ?? '')
    const response = await expectSuccess(
      await services.backend.send(
        backendRequest(context, { method: 'DELETE', query: buildQuery({ uploadId }) }),
      ),
    )
    const bucket = requestBucket(context)
    await tolerateOutage(context, () => services.store.deleteUpload(bucket, uploadId))
    await relay(context, response)
  }
}

function backendUploadId(text: string): string {
  try {
    return parseUploadToken(text).backendUploadId
  } catch (error) {
    if (error instanceof IntegrityError) return text
    throw error
  }
}
