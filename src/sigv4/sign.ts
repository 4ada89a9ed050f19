import { canonicalRequest, sha256Hex, type SignableRequest } from './canonical.ts'
import { ChunkSigner } from './chunk-signature.ts'
import {
  algorithm,
  amzDate,
  credentialScope,
  hmac,
  signingKey,
  stringToSign,
} from './signing-key.ts'

export interface SigningOptions {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly region: string
  readonly now: Date
  /** Hex SHA-256 of the body, `UNSIGNED-PAYLOAD` or one of the `STREAMING-…` values. */
  readonly payloadHash: string
}

export interface SignedRequest {
  /** The given headers and those that the signature adds. */
  readonly headers: Record<string, string>
  /** Signs the chunks of a `STREAMING-AWS4-HMAC-SHA256-PAYLOAD` body. */
  readonly chunkSigner: ChunkSigner
}

/** Signs a request by its Authorization header. All headers given are signed; `host` must be one. */
export function signRequest(request: SignableRequest, options: SigningOptions): SignedRequest {
  const { region, payloadHash, accessKeyId } = options
  const date = amzDate(options.now)
  const day = date.slice(0, 8)
  const scope = credentialScope(day, region)
  const headers = {
    ...request.headers,
    'x-amz-content-sha256': payloadHash,
    'x-amz-date': date,
  }
  const signedHeaders = Object.keys(headers).toSorted()
  const canonical = canonicalRequest({ ...request, headers }, signedHeaders, { payloadHash })
  const key = signingKey(options.secretAccessKey, day, region)
  const signature = hmac(key, stringToSign(date, scope, sha256Hex(canonical))).toString('hex')
  const authorization =
    `${algorithm} Credential=${accessKeyId}/${scope}, ` +
    `SignedHeaders=${signedHeaders.join(';')}, Signature=${signature}`
  return {
    headers: { ...headers, authorization },
    chunkSigner: new ChunkSigner({
      signingKey: key,
      scope,
      amzDate: date,
      seedSignature: signature,
    }),
  }
}
