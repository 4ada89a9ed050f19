import { S3Error } from '../s3/errors.ts'
import type { PayloadMode } from '../s3/payload-mode.ts'
import type { ChunkSigner } from '../sigv4/chunk-signature.ts'

/** How a body is verified, by the value of `x-amz-content-sha256`. Throws InvalidArgument. */
export function payloadMode(payloadHash: string, chunkSigner: ChunkSigner): PayloadMode {
  switch (payloadHash) {
    case 'UNSIGNED-PAYLOAD':
      return { kind: 'unsigned' }
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD':
      return { kind: 'aws-chunked', signer: chunkSigner, trailer: false }
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER':
      return { kind: 'aws-chunked', signer: chunkSigner, trailer: true }
    case 'STREAMING-UNSIGNED-PAYLOAD-TRAILER':
      return { kind: 'aws-chunked', signer: null, trailer: true }
    default:
      if (/^[0-9a-f]{64}$/.test(payloadHash)) return { kind: 'sha256', hex: payloadHash }
      throw new S3Error(
        'InvalidArgument',
        'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a STREAMING-… value, or a valid sha256 value.',
        { fields: { ArgumentName: 'x-amz-content-sha256', ArgumentValue: payloadHash } },
      )
  }
}
