import { timingSafeEqual } from 'node:crypto'
import { canonicalRequest, sha256Hex, type SignableRequest } from './canonical.ts'
import { ChunkSigner } from './chunk-signature.ts'
import {
  algorithm,
  credentialScope,
  hmac,
  service,
  signingKey,
  stringToSign,
  terminator,
} from './signing-key.ts'

/** What a signature says about itself, from the Authorization header or a presigned query. */
export interface ParsedSignature {
  readonly accessKeyId: string
  /** `YYYYMMDD` of the credential scope. */
  readonly day: string
  readonly region: string
  /** Lower case, in the order of the request. */
  readonly signedHeaders: readonly string[]
  /** Hex. */
  readonly signature: string
}

/** Why a signature can't be read; `message` is fit for the client. */
export class SignatureSyntaxError extends Error {
  override readonly name = 'SignatureSyntaxError'
}

/** Parses an Authorization header. Throws SignatureSyntaxError. */
export function parseAuthorization(header: string): ParsedSignature {
  const fields = new Map<string, string>()
  if (!header.startsWith(`${algorithm} `)) {
    throw new SignatureSyntaxError(`The authorization header must begin with ${algorithm}.`)
  }
  for (const field of header.slice(algorithm.length + 1).split(',')) {
    const [, name, value] = /^\s*(Credential|SignedHeaders|Signature)=(\S+)\s*$/.exec(field) ?? []
    if (name === undefined || value === undefined || fields.has(name)) {
      throw new SignatureSyntaxError('The authorization header is malformed.')
    }
    fields.set(name, value)
  }
  return parseFields({
    credential: fields.get('Credential'),
    signedHeaders: fields.get('SignedHeaders'),
    signature: fields.get('Signature'),
  })
}

/** Parses the three fields that both kinds of signature have. Throws SignatureSyntaxError. */
export function parseFields(fields: {
  readonly credential: string | undefined
  readonly signedHeaders: string | undefined
  readonly signature: string | undefined
}): ParsedSignature {
  const parts = (fields.credential ?? '').split('/')
  const [last, serviceName, region, day] = parts.toReversed()
  const accessKeyId = parts.slice(0, -4).join('/')
  if (!accessKeyId || !region || !day || !/^\d{8}$/.test(day)) {
    throw new SignatureSyntaxError(
      'The credential must be ACCESS-KEY/YYYYMMDD/REGION/s3/aws4_request.',
    )
  }
  if (serviceName !== service || last !== terminator) {
    throw new SignatureSyntaxError(`The credential scope must end in ${service}/${terminator}.`)
  }
  const signedHeaders = (fields.signedHeaders ?? '').split(';')
  if (!signedHeaders.every((name) => /^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name))) {
    throw new SignatureSyntaxError('SignedHeaders is missing or malformed.')
  }
  if (!/^[0-9a-f]{64}$/.test(fields.signature ?? '')) {
    throw new SignatureSyntaxError('Signature is missing or malformed.')
  }
  return { accessKeyId, day, region, signedHeaders, signature: fields.signature ?? '' }
}

export interface VerifyOptions {
  readonly secretAccessKey: string
  /** `YYYYMMDDTHHMMSSZ`, as the request states it. */
  readonly amzDate: string
  readonly payloadHash: string
  /** Name of the query parameter that isn't part of what is signed. */
  readonly omitQuery?: string
}

/**
 * Recomputes a request's signature. Gives the chain for its chunks, or null if the signature is
 * wrong; the comparison takes constant time.
 */
export function verifySignature(
  request: SignableRequest,
  parsed: ParsedSignature,
  options: VerifyOptions,
): ChunkSigner | null {
  const { payloadHash, omitQuery, amzDate } = options
  const canonical = canonicalRequest(request, parsed.signedHeaders, {
    payloadHash,
    ...(omitQuery === undefined ? {} : { omitQuery }),
  })
  const scope = credentialScope(parsed.day, parsed.region)
  const key = signingKey(options.secretAccessKey, parsed.day, parsed.region)
  const expected = hmac(key, stringToSign(amzDate, scope, sha256Hex(canonical)))
  if (!timingSafeEqual(expected, Buffer.from(parsed.signature, 'hex'))) return null
  return new ChunkSigner({ signingKey: key, scope, amzDate, seedSignature: parsed.signature })
}
