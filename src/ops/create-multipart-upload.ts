import { marshalUploadToken } from '../envelope/upload-token.ts'
import { objectWriteHeaders } from '../s3/request-headers.ts'
import { clientResponseHeaders } from '../s3/response-headers.ts'
import { childText, element, s3Document } from '../s3/xml.ts'
import { backendRequest, readXml } from './backend-call.ts'
import { tolerateOutage } from './layout-record.ts'
import { objectPlace } from './object-place.ts'
import type { OperationHandler } from './operation.ts'
import type { Services } from './services.ts'
import { encryptionHeaders } from './stored-object.ts'
import { envelopeHeaders, readRequestBody } from './upload.ts'

/** CreateMultipartUpload: the client's upload id carries the upload's keys (`docs/format.md` §5). */
export function createMultipartUpload(services: Services): OperationHandler {
  return async (context) => {
    await readRequestBody(context, 0)
    const place = objectPlace(context)
    const headers = objectWriteHeaders(context.headers)
    const { dek, envelope } = await services.keys.create(place, 'multipart')
    const response = await services.backend.send(
      backendRequest(context, {
        method: 'POST',
        query: 'uploads=',
        headers: { ...headers, ...envelopeHeaders(envelope, headers) },
      }),
    )
    const backendUploadId = childText(await readXml(response), 'UploadId')
    const token = marshalUploadToken({ backendUploadId, envelope }, dek)
    dek.destroy()
    await tolerateOutage(context, () =>
      services.store.putUpload({ ...place, backendUploadId, token }),
    )
    context.response.send(
      200,
      {
        ...clientResponseHeaders(response.headers),
        ...encryptionHeaders(envelope),
        'content-type': 'application/xml',
      },
      s3Document(
        element('InitiateMultipartUploadResult', [
          element('Bucket', place.bucket),
          element('Key', place.key),
          element('UploadId', token),
        ]),
      ),
    )
  }
}
