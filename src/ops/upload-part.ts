import { clientResponseHeaders } from '../s3/response-headers.ts'
import type { UploadBody, VerifiedBody } from '../s3/upload-body.ts'
import type { Stage } from '../stream/pump.ts'
import { maxSinglePlainSize } from '../stream/sizes.ts'
import { backendRequest, buildQuery, discardBody } from './backend-call.ts'
import type { OperationHandler } from './operation.ts'
import type { Services } from './services.ts'
import { encryptionHeaders } from './stored-object.ts'
import { UploadPartSealer } from './upload-part-sealer.ts'
import { openUpload, requestPartNumber } from './upload-token.ts'
import { checksumHeaders, sendBody, uploadBody } from './upload.ts'

/** UploadPart: any replica encrypts any part, in any order, with nothing but the upload's token. */
export function uploadPart(services: Services): OperationHandler {
  return async (context) => {
    const partNumber = requestPartNumber(context)
    const body = uploadBody(context, maxSinglePlainSize)
    const upload = await openUpload(context, services)
    const sealer = new UploadPartSealer(upload.dek, partNumber, { size: body.plaintextSize })
    const stage = new PartStage(body, sealer)
    const query = buildQuery({
      partNumber: String(partNumber),
      uploadId: upload.backendUploadId,
    })
    const response = await sendBody(
      context,
      services.backend.upload(backendRequest(context, { method: 'PUT', query }), sealer.storedSize),
      { source: context.body.source(), stage },
    )
    await discardBody(response)
    upload.dek.destroy()
    context.response.send(200, {
      ...clientResponseHeaders(response.headers),
      ...encryptionHeaders(upload.envelope),
      ...(stage.verified ? checksumHeaders(stage.verified) : {}),
    })
  }
}

/** Verifies the client's bytes and encrypts them. */
class PartStage implements Stage {
  verified: VerifiedBody | null = null
  readonly #body: UploadBody
  readonly #sealer: UploadPartSealer

  constructor(body: UploadBody, sealer: UploadPartSealer) {
    this.#body = body
    this.#sealer = sealer
  }

  push(bytes: Buffer, out: Buffer[]): void {
    this.#body.push(bytes, (data) => this.#sealer.push(data, out))
  }

  finish(out: Buffer[]): void {
    this.verified = this.#body.finish()
    this.#sealer.finish(out)
  }
}
