import { parseDeleteObjects } from '../s3/delete-objects-request.ts'
import { forwardedHeaders } from '../s3/request-headers.ts'
import { backendRequest, relay } from './backend-call.ts'
import { contentMd5 } from './forward.ts'
import type { OperationHandler } from './operation.ts'
import type { Services } from './services.ts'
import { readRequestBody } from './upload.ts'

/** S3's limit is 1,000 keys of 1,024 bytes; escaping may make them up to six times as long. */
const maxBodySize = 8 * 1024 * 1024

/** DeleteObjects: the list is checked and passed on as it came. */
export function deleteObjects(services: Services): OperationHandler {
  return async (context) => {
    const body = await readRequestBody(context, maxBodySize)
    parseDeleteObjects(body)
    const response = await services.backend.send(
      backendRequest(context, {
        method: 'POST',
        query: 'delete=',
        headers: { ...forwardedHeaders(context.headers), ...contentMd5(body) },
      }),
      body,
    )
    await relay(context, response)
  }
}
