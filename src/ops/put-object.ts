import { S3Error } from '../s3/errors.ts'
import { objectWriteHeaders } from '../s3/request-headers.ts'
import { clientResponseHeaders } from '../s3/response-headers.ts'
import type { UploadBody, VerifiedBody } from '../s3/upload-body.ts'
import type { Dek } from '../stream/dek.ts'
import { sealEndRecord } from '../stream/end-record.ts'
import { PartSealer } from '../stream/part-sealer.ts'
import type { Stage } from '../stream/pump.ts'
import { maxSinglePlainSize, objectStoredSize } from '../stream/sizes.ts'
import { backendRequest, discardBody, expectSuccess } from './backend-call.ts'
import { objectPlace } from './object-place.ts'
import type { OperationContext, OperationHandler } from './operation.ts'
import type { Services } from './services.ts'
import { encryptionHeaders } from './stored-object.ts'
import { checksumHeaders, envelopeHeaders, readEmptyBody, sendBody, uploadBody } from './upload.ts'

/** PutObject: the body is encrypted as it streams; its end waits until all of it is verified. */
export function putObject(services: Services): OperationHandler {
  return async (context) => {
    const body = uploadBody(context, maxSinglePlainSize)
    const headers = objectWriteHeaders(context.headers)
    const isEmpty = body.plaintextSize === 0
    const key = await services.keys.create(objectPlace(context), isEmpty ? 'empty' : 'single')
    const request = backendRequest(context, {
      method: 'PUT',
      headers: { ...headers, ...envelopeHeaders(key.envelope, headers) },
    })
    let response
    let verified
    if (isEmpty) {
      verified = await readEmptyBody(context, body)
      response = await expectSuccess(await services.backend.send(request, Buffer.alloc(0)))
    } else {
      const stage = new SinglePutStage(body, key.dek)
      const upload = services.backend.upload(request, objectStoredSize(body.plaintextSize))
      response = await sendBody(context, upload, { source: context.body.source(), stage })
      verified = stage.verified
    }
    await discardBody(response)
    key.dek.destroy()
    if (!isEmpty && context.target.key.endsWith('/')) {
      await confirmStored(context, services, objectStoredSize(body.plaintextSize))
    }
    context.response.send(200, {
      ...clientResponseHeaders(response.headers),
      ...encryptionHeaders(key.envelope),
      ...(verified ? checksumHeaders(verified) : {}),
    })
  }
}

/** Some servers (SeaweedFS) answer success but drop the body under keys that end in a slash. */
async function confirmStored(
  context: OperationContext,
  services: Services,
  storedSize: number,
): Promise<void> {
  const response = await expectSuccess(
    await services.backend.send(backendRequest(context, { method: 'HEAD' })),
  )
  await discardBody(response)
  if (response.headers.get('content-length') === String(storedSize)) return
  throw new S3Error(
    'InvalidRequest',
    'The storage behind this proxy keeps no content under keys that end in a slash.',
  )
}

/** Verifies and encrypts the body of one PutObject into part stream 1 and the end record. */
class SinglePutStage implements Stage {
  verified: VerifiedBody | null = null
  readonly #body: UploadBody
  readonly #dek: Dek
  readonly #sealer: PartSealer

  constructor(body: UploadBody, dek: Dek) {
    this.#body = body
    this.#dek = dek
    this.#sealer = new PartSealer(dek.partKey(1, body.plaintextSize), body.plaintextSize)
  }

  push(bytes: Buffer, out: Buffer[]): void {
    this.#body.push(bytes, (data) => this.#sealer.push(data, out))
  }

  finish(out: Buffer[]): void {
    this.verified = this.#body.finish()
    this.#sealer.finish(out)
    const size = this.#body.plaintextSize
    const { checksum } = this.verified
    const lastPartSize = { kind: 'plain', size } as const
    out.push(sealEndRecord(this.#dek, { lastPart: 1, lastPartSize, checksum }))
  }
}
