import { BackendError, type BackendResponse, type BackendUpload } from '../backend/client.ts'
import { marshalEnvelope, envelopeHeader, type Envelope } from '../envelope/envelope.ts'
import { S3Error } from '../s3/errors.ts'
import type { HeaderRecord } from '../s3/headers.ts'
import { UploadBody, type VerifiedBody } from '../s3/upload-body.ts'
import type { ByteSource } from '../stream/bytes.ts'
import { pump, type Stage } from '../stream/pump.ts'
import { expectSuccess } from './backend-call.ts'
import type { OperationContext } from './operation.ts'

/** S3's limit for the names and values of an object's user metadata. */
const maxUserMetadataSize = 2048
const metadataPrefix = 'x-amz-meta-'

/** The envelope as headers of a backend request whose other headers are `headers`. */
export function envelopeHeaders(envelope: Envelope, headers: HeaderRecord): HeaderRecord {
  const own = { [envelopeHeader]: marshalEnvelope(envelope) }
  const available = maxUserMetadataSize - userMetadataSize(own)
  const size = userMetadataSize(headers)
  if (size > available) {
    throw new S3Error(
      'MetadataTooLarge',
      `Your metadata headers exceed the maximum allowed metadata size of ${available} bytes ` +
        '(2,048 of S3 less what encryption needs).',
      { fields: { Size: String(size), MaxSizeAllowed: String(available) } },
    )
  }
  return own
}

function userMetadataSize(headers: HeaderRecord): number {
  return Object.entries(headers)
    .filter(([name]) => name.startsWith(metadataPrefix))
    .reduce((sum, [name, value]) => sum + name.length - metadataPrefix.length + value.length, 0)
}

/** Opens the request's body for reading and verifying. Throws S3Error, also if it is too long. */
export function uploadBody(
  context: Pick<OperationContext, 'headers' | 'payload' | 'body'>,
  maxPlainSize: number,
): UploadBody {
  const body = new UploadBody({
    headers: context.headers,
    payload: context.payload,
    contentLength: context.body.length,
  })
  if (body.plaintextSize > maxPlainSize) {
    throw new S3Error('EntityTooLarge', 'Your proposed upload exceeds the maximum allowed size.', {
      fields: {
        ProposedSize: String(body.plaintextSize),
        MaxSizeAllowed: String(maxPlainSize),
      },
    })
  }
  return body
}

/** Reads and verifies a whole request body of at most `maxSize` bytes. */
export async function readRequestBody(
  context: Pick<OperationContext, 'headers' | 'payload' | 'body'>,
  maxSize: number,
): Promise<Buffer> {
  if (context.body.length === null && !context.headers.has('transfer-encoding')) {
    return Buffer.alloc(0)
  }
  const body = uploadBody(context, maxSize)
  const pieces: Buffer[] = []
  await collect(context, body, pieces)
  return Buffer.concat(pieces)
}

/** Verifies a body that must be empty, and returns what was verified. */
export async function readEmptyBody(
  context: OperationContext,
  body: UploadBody,
): Promise<VerifiedBody> {
  return collect(context, body, [])
}

function collect(
  context: Pick<OperationContext, 'body'>,
  body: UploadBody,
  pieces: Buffer[],
): Promise<VerifiedBody> {
  return new Promise((resolve, reject) => {
    const source = context.body.source()
    const fail = (error: Error): void => {
      source.abort(error)
      reject(error)
    }
    source.deliver({
      chunk(bytes) {
        try {
          body.push(bytes, (data) => pieces.push(Buffer.from(data)))
        } catch (error) {
          fail(error instanceof Error ? error : new Error(String(error)))
        }
      },
      end() {
        try {
          resolve(body.finish())
        } catch (error) {
          fail(error instanceof Error ? error : new Error(String(error)))
        }
      },
      error: reject,
    })
  })
}

/**
 * Moves a body through `stage` into an upload and gives the backend's answer, which has status
 * 2xx. If the backend refuses before it has all bytes, its answer becomes the error.
 */
export async function sendBody(
  { signal }: Pick<OperationContext, 'signal'>,
  upload: BackendUpload,
  body: { readonly source: ByteSource; readonly stage: Stage },
): Promise<BackendResponse> {
  try {
    await pump(body.source, upload.sink, body.stage, { signal })
  } catch (error) {
    if (error instanceof BackendError && error.code === 'REFUSED') await throwRefusal(upload)
    throw error
  }
  return expectSuccess(await upload.response)
}

/** Throws the answer with which a backend refused a body; returns if that is none. */
async function throwRefusal(upload: BackendUpload): Promise<void> {
  const response = await expectSuccess(await upload.response)
  response.body.abort(new BackendError('PROTOCOL', 'backend accepted a body that it has not read'))
}

/** The header that tells a client the checksum that was verified. */
export function checksumHeaders(verified: VerifiedBody): HeaderRecord {
  if (!verified.checksum) return {}
  const { algorithm, value } = verified.checksum
  return { [`x-amz-checksum-${algorithm.toLowerCase()}`]: value.toString('base64') }
}
