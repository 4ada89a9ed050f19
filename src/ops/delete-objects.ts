import { maxDeleteRequestSize, parseDeleteObjects } from '../s3/delete-objects-request.ts'
import { forwardedHeaders } from '../s3/request-headers.ts'
import { backendRequest, relay } from './backend-call.ts'
import { contentMd5 } from './forward.ts'
import type { OperationHandler } from './operation.ts'
import type { Services } from './services.ts'
import { readRequestBody } from './upload.ts'

/** DeleteObjects: the list is checked and passed on as it came. */
export function deleteObjects(services: Services): OperationHandler {
  return async (context) => {
    const body = await readRequestBody(context, maxDeleteRequestSize)
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
