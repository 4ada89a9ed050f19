import { parseUploadToken, type UploadToken } from '../envelope/upload-token.ts'
import { KeyProviderError } from '../kms/provider.ts'
import { S3Error } from '../s3/errors.ts'
import { queryValue } from '../s3/target.ts'
import type { Dek } from '../stream/dek.ts'
import { IntegrityError } from '../stream/errors.ts'
import { objectPlace } from './object-place.ts'
import type { OperationContext } from './operation.ts'
import type { Services } from './services.ts'

/** A multipart upload whose token has been verified. The caller destroys the DEK after use. */
export interface OpenUpload extends UploadToken {
  readonly dek: Dek
  /** The upload id as the client knows it. */
  readonly token: string
}

/** Opens the upload that `uploadId` names. A token that isn't ours for this key is NoSuchUpload. */
export async function openUpload(
  context: OperationContext,
  services: Services,
): Promise<OpenUpload> {
  const token = queryValue(context.target, 'uploadId') ?? ''
  try {
    const parsed = parseUploadToken(token)
    const { backendUploadId, envelope } = parsed
    const dek = await services.keys.open(objectPlace(context), envelope)
    parsed.verify(dek)
    return { backendUploadId, envelope, dek, token }
  } catch (error) {
    // The intermediate key of another bucket's upload isn't wrapped for this one.
    const isOfAnotherBucket = error instanceof KeyProviderError && error.code === 'REJECTED'
    if (!(error instanceof IntegrityError) && !isOfAnotherBucket) throw error
    context.log.info({ err: error }, 'upload id refused')
    throw noSuchUpload(error)
  }
}

export function noSuchUpload(cause?: unknown): S3Error {
  return new S3Error(
    'NoSuchUpload',
    'The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.',
    { cause },
  )
}

/** The `partNumber` of a request. Throws InvalidArgument outside 1…10,000. */
export function requestPartNumber(context: OperationContext): number {
  const text = queryValue(context.target, 'partNumber') ?? ''
  const number = Number(text)
  if (!/^\d{1,5}$/.test(text) || number < 1 || number > 10_000) {
    throw new S3Error(
      'InvalidArgument',
      'Part number must be an integer between 1 and 10000, inclusive',
      { fields: { ArgumentName: 'partNumber', ArgumentValue: text } },
    )
  }
  return number
}
