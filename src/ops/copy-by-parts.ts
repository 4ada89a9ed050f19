import { childText, element, serializeXml, type XmlElement } from '../s3/xml.ts'
import { backendRequest, buildQuery, discardBody, readXml } from './backend-call.ts'
import type { CopyDone, CopyPlan } from './copy-plan.ts'
import type { OperationContext } from './operation.ts'
import type { Services } from './services.ts'

const maxCopyPartSize = 1024 ** 3

/**
 * Copies a stored object that is too large for one request by a multipart upload of the backend's,
 * whose parts are ranges of the ciphertext. On failure the upload is aborted.
 */
export async function copyByParts(
  context: OperationContext,
  services: Services,
  plan: CopyPlan,
): Promise<CopyDone> {
  const created = await readXml(
    await services.backend.send(
      backendRequest(context, { method: 'POST', query: 'uploads=', headers: plan.headers }),
    ),
  )
  const uploadId = childText(created, 'UploadId')
  try {
    const parts: XmlElement[] = []
    const partSize = Math.min(maxCopyPartSize, services.maxCopySize)
    for (let start = 0; start < plan.source.storedSize; start += partSize) {
      const end = Math.min(start + partSize, plan.source.storedSize)
      parts.push(await copyRange(context, services, { plan, uploadId, start, end, parts }))
    }
    const response = await services.backend.send(
      backendRequest(context, { method: 'POST', query: buildQuery({ uploadId }) }),
      Buffer.from(serializeXml(element('CompleteMultipartUpload', parts))),
    )
    return { headers: response.headers, result: await readXml(response) }
  } catch (error) {
    await abort(context, services, uploadId)
    throw error
  }
}

async function copyRange(
  context: OperationContext,
  services: Services,
  range: { plan: CopyPlan; uploadId: string; start: number; end: number; parts: XmlElement[] },
): Promise<XmlElement> {
  const { plan, uploadId, start, end } = range
  const partNumber = String(range.parts.length + 1)
  const result = await readXml(
    await services.backend.send(
      backendRequest(context, {
        method: 'PUT',
        query: buildQuery({ partNumber, uploadId }),
        headers: {
          'x-amz-copy-source': plan.copySource,
          'x-amz-copy-source-if-match': `"${plan.source.etag}"`,
          'x-amz-copy-source-range': `bytes=${start}-${end - 1}`,
        },
      }),
    ),
  )
  return element('Part', [
    element('PartNumber', partNumber),
    element('ETag', childText(result, 'ETag')),
  ])
}

async function abort(
  context: OperationContext,
  services: Services,
  uploadId: string,
): Promise<void> {
  try {
    const request = backendRequest(context, { method: 'DELETE', query: buildQuery({ uploadId }) })
    await discardBody(
      await services.backend.send({ ...request, signal: AbortSignal.timeout(30_000) }),
    )
  } catch (error) {
    context.log.warn({ err: error, uploadId }, "an upload for a copy couldn't be aborted")
  }
}
