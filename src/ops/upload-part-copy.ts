import type { BackendResponse } from '../backend/client.ts'
import { S3Error } from '../s3/errors.ts'
import { toClientEtag } from '../s3/etag.ts'
import { parseCopySourceRange } from '../s3/range.ts'
import { clientResponseHeaders } from '../s3/response-headers.ts'
import { parseCopySource } from '../s3/target.ts'
import { element, s3Document } from '../s3/xml.ts'
import { ObjectOpener, type Span } from '../stream/object-opener.ts'
import type { Stage } from '../stream/pump.ts'
import { maxSinglePlainSize, type PlainBytes } from '../stream/sizes.ts'
import { backendRequest, buildQuery, discardBody, expectSuccess } from './backend-call.ts'
import { copySourceConditions, headSource } from './copy-object.ts'
import { openObject, plainSize, startSpanRead, type SpanRead } from './object-reader.ts'
import type { OperationContext, OperationHandler } from './operation.ts'
import type { Services } from './services.ts'
import { sendSlowly } from './slow-answer.ts'
import { encryptionHeaders } from './stored-object.ts'
import { UploadPartSealer } from './upload-part-sealer.ts'
import { openUpload, requestPartNumber, type OpenUpload } from './upload-token.ts'
import { readRequestBody, sendBody } from './upload.ts'

/**
 * UploadPartCopy: the source's range is decrypted and encrypted anew as a part, since a part's key
 * is bound to its upload, number and size.
 */
export function uploadPartCopy(services: Services): OperationHandler {
  return async (context) => {
    await readRequestBody(context, 0)
    const partNumber = requestPartNumber(context)
    const upload = await openUpload(context, services)
    const read = await readSource(context, services)
    await sendSlowly(context, async () => {
      const response = await copyPart(context, services, { upload, partNumber, read })
      upload.dek.destroy()
      const etag = response.headers.get('etag') ?? ''
      return {
        headers: {
          ...clientResponseHeaders(response.headers),
          ...encryptionHeaders(upload.envelope),
          'content-type': 'application/xml',
        },
        body: s3Document(
          element('CopyPartResult', [
            element('LastModified', new Date().toISOString()),
            element('ETag', toClientEtag(etag)),
          ]),
        ),
      }
    })
  }
}

async function readSource(context: OperationContext, services: Services): Promise<SpanRead | null> {
  const from = parseCopySource(context.headers.get('x-amz-copy-source') ?? '')
  const conditional = copySourceConditions(context.headers)
  const describe = async () =>
    openObject(context, services, await headSource(context, services, { from, conditional }))
  const first = await describe()
  if (plainSize(first) === 0) return null
  return startSpanRead(context, services, {
    target: {
      bucket: from.bucket,
      key: from.key,
      query: buildQuery({ versionId: from.versionId ?? undefined }),
      headers: {},
    },
    describe,
    choose: (object) => sourceSpan(context, plainSize(object)),
  })
}

function sourceSpan(context: OperationContext, size: PlainBytes): Span<PlainBytes> {
  const header = context.headers.get('x-amz-copy-source-range')
  const span = header === undefined ? { start: 0, end: size } : parseCopySourceRange(header)
  if (span.end > size) {
    throw new S3Error(
      'InvalidArgument',
      `Range specified is not valid for source object of size: ${size}`,
      { fields: { ArgumentName: 'x-amz-copy-source-range', ArgumentValue: header ?? '' } },
    )
  }
  if (span.end - span.start > maxSinglePlainSize) {
    throw new S3Error('InvalidRequest', 'The specified copy source is larger than a part may be.')
  }
  return span
}

async function copyPart(
  context: OperationContext,
  services: Services,
  copy: { upload: OpenUpload; partNumber: number; read: SpanRead | null },
): Promise<BackendResponse> {
  const { upload, partNumber, read } = copy
  const size = read ? read.span.end - read.span.start : 0
  const sealer = new UploadPartSealer(upload.dek, partNumber, { size })
  const request = backendRequest(context, {
    method: 'PUT',
    query: buildQuery({ partNumber: String(partNumber), uploadId: upload.backendUploadId }),
  })
  if (!read || !read.object.layout) {
    const out: Buffer[] = []
    sealer.finish(out)
    const response = await services.backend.send(request, Buffer.concat(out))
    await discardBody(await expectSuccess(response))
    return response
  }
  const opener = new ObjectOpener(read.object.dek, read.object.layout, read.span)
  const response = await sendBody(context, services.backend.upload(request, sealer.storedSize), {
    source: read.response.body,
    stage: new ReencryptStage(opener, sealer),
  })
  await discardBody(response)
  read.object.dek.destroy()
  return response
}

/** Opens the source's packages and seals what comes out for the new part. */
class ReencryptStage implements Stage {
  readonly #opener: ObjectOpener
  readonly #sealer: UploadPartSealer

  constructor(opener: ObjectOpener, sealer: UploadPartSealer) {
    this.#opener = opener
    this.#sealer = sealer
  }

  push(bytes: Buffer, out: Buffer[]): void {
    this.#seal((plain) => this.#opener.push(bytes, plain), out)
  }

  finish(out: Buffer[]): void {
    this.#seal((plain) => this.#opener.finish(plain), out)
    this.#sealer.finish(out)
  }

  #seal(open: (plain: Buffer[]) => void, out: Buffer[]): void {
    const plain: Buffer[] = []
    open(plain)
    for (const piece of plain) this.#sealer.push(piece, out)
  }
}
