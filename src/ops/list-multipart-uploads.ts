import { StateUnavailableError } from '../state/ports.ts'
import { clientResponseHeaders } from '../s3/response-headers.ts'
import { childText, serializeXml, type XmlElement } from '../s3/xml.ts'
import { backendRequest, forwardedQuery, readXml } from './backend-call.ts'
import { requestBucket } from './object-place.ts'
import type { OperationContext, OperationHandler } from './operation.ts'
import type { Services } from './services.ts'

/**
 * ListMultipartUploads with the upload ids that clients can use. Uploads that the state store
 * doesn't know are shown by the backend's id, which AbortMultipartUpload alone accepts. Markers stay
 * the backend's.
 */
export function listMultipartUploads(services: Services): OperationHandler {
  return async (context) => {
    const response = await services.backend.send(
      backendRequest(context, { method: 'GET', query: forwardedQuery(context.target) }),
    )
    const list = await readXml(response)
    const ids = list.children
      .filter(({ name }) => name === 'Upload')
      .map((upload) => childText(upload, 'UploadId'))
    const tokens = await findTokens(context, services, ids)
    const children = list.children.map((child) =>
      child.name === 'Upload' ? withToken(child, tokens) : child,
    )
    context.response.send(
      200,
      { ...clientResponseHeaders(response.headers), 'content-type': 'application/xml' },
      serializeXml({ ...list, children }),
    )
  }
}

async function findTokens(
  context: OperationContext,
  services: Services,
  ids: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  if (ids.length === 0) return new Map()
  try {
    return await services.store.findUploads(requestBucket(context), ids)
  } catch (error) {
    if (!(error instanceof StateUnavailableError)) throw error
    context.log.warn(
      { err: error },
      'state store unavailable: upload ids are shown as the backend has them',
    )
    return new Map()
  }
}

function withToken(upload: XmlElement, tokens: ReadonlyMap<string, string>): XmlElement {
  return {
    ...upload,
    children: upload.children.map((child) =>
      child.name === 'UploadId' ? { ...child, text: tokens.get(child.text) ?? child.text } : child,
    ),
  }
}
