import { S3Error } from '../s3/errors.ts'
import type { HeaderMap } from '../s3/headers.ts'
import type { PayloadMode } from '../s3/payload-mode.ts'
import { queryValue, type Target } from '../s3/target.ts'
import {
  parseAuthorization,
  parseFields,
  SignatureSyntaxError,
  verifySignature,
  type ParsedSignature,
} from '../sigv4/verify.ts'
import type { Caller } from './caller.ts'
import type { CredentialStore } from './credentials.ts'
import { payloadMode } from './payload-mode.ts'

const maxSkewMs = 15 * 60 * 1000
const maxExpiresSeconds = 604_800
/** Regions that are accepted besides the configured one: the default of nearly every client. */
const defaultRegion = 'us-east-1'

/** What a request's signature covers. */
export interface RequestHead {
  readonly method: string
  readonly target: Target
  readonly headers: HeaderMap
}

export interface AuthenticateOptions {
  readonly credentials: CredentialStore
  readonly region: string
  readonly now: Date
}

export interface Authenticated {
  readonly caller: Caller
  readonly payload: PayloadMode
}

/** A request's signature with all that is needed to verify it. */
interface Claim {
  readonly parsed: ParsedSignature
  readonly amzDate: string
  readonly payloadHash: string
  readonly omitQuery?: string
  /** The code of what is wrong with the signature's place. */
  readonly syntaxCode: SyntaxCode
}

/**
 * Verifies a request's SigV4 signature, in its Authorization header or its presigned URL. Throws
 * S3Error with the codes of S3; a request without a signature is AccessDenied.
 */
export function authenticate(head: RequestHead, options: AuthenticateOptions): Authenticated {
  const claim = readClaim(head, options.now)
  checkRegion(claim, options.region)
  checkSignedHeaders(head.headers, claim.parsed)
  const credential = options.credentials.find(claim.parsed.accessKeyId)
  const chunkSigner = verifySignature(
    {
      method: head.method,
      rawPath: head.target.rawPath,
      rawQuery: head.target.rawQuery,
      headers: Object.fromEntries(head.headers),
    },
    claim.parsed,
    // An unknown key costs as much as a known one, so that timing tells nothing.
    { ...claim, secretAccessKey: credential?.reveal() ?? 'unknown' },
  )
  if (!credential) {
    throw new S3Error(
      'InvalidAccessKeyId',
      'The AWS Access Key Id you provided does not exist in our records.',
      { fields: { AWSAccessKeyId: claim.parsed.accessKeyId } },
    )
  }
  if (!chunkSigner) throw signatureMismatch(claim.parsed)
  return {
    caller: { accessKeyId: credential.accessKeyId },
    payload: payloadMode(claim.payloadHash, chunkSigner),
  }
}

function readClaim(head: RequestHead, now: Date): Claim {
  const authorization = head.headers.get('authorization')
  const isPresigned = queryValue(head.target, 'X-Amz-Algorithm') !== null
  const isV2 =
    queryValue(head.target, 'AWSAccessKeyId') !== null || (authorization ?? '').startsWith('AWS ')
  if (isV2) {
    throw new S3Error(
      'InvalidRequest',
      'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.',
    )
  }
  if (authorization !== undefined && isPresigned) {
    throw new S3Error(
      'InvalidArgument',
      'Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified',
    )
  }
  if (isPresigned) return presignedClaim(head, now)
  if (authorization !== undefined) return headerClaim(head, authorization, { now })
  throw new S3Error('AccessDenied', 'Access Denied: the request is not signed.')
}

function headerClaim(
  { headers }: RequestHead,
  authorization: string,
  { now }: { now: Date },
): Claim {
  const syntaxCode = 'AuthorizationHeaderMalformed'
  const parsed = withCode(syntaxCode, () => parseAuthorization(authorization))
  const payloadHash = headers.get('x-amz-content-sha256')
  if (payloadHash === undefined) {
    throw new S3Error('MissingSecurityHeader', 'Your request was missing a required header', {
      fields: { MissingHeaderName: 'x-amz-content-sha256' },
    })
  }
  const amzDate = requestDate(headers)
  const time = parseAmzDate(amzDate)
  if (time === null) {
    throw new S3Error(
      'AccessDenied',
      'AWS authentication requires a valid Date or x-amz-date header',
    )
  }
  if (Math.abs(time - now.getTime()) > maxSkewMs) throw tooSkewed(amzDate, now)
  checkDay(parsed, amzDate, { code: syntaxCode })
  return { parsed, amzDate, payloadHash, syntaxCode }
}

function requestDate(headers: HeaderMap): string {
  const amzDate = headers.get('x-amz-date')
  if (amzDate !== undefined) return amzDate
  const date = new Date(headers.get('date') ?? '')
  return Number.isNaN(date.getTime()) ? '' : date.toISOString().replace(/[-:]|\.\d{3}/g, '')
}

function presignedClaim({ target, headers }: RequestHead, now: Date): Claim {
  const code = 'AuthorizationQueryParametersError'
  const value = (name: string): string | undefined => queryValue(target, name) ?? undefined
  if (value('X-Amz-Algorithm') !== 'AWS4-HMAC-SHA256') {
    throw new S3Error(code, 'X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"')
  }
  const parsed = withCode(code, () =>
    parseFields({
      credential: value('X-Amz-Credential'),
      signedHeaders: value('X-Amz-SignedHeaders'),
      signature: value('X-Amz-Signature'),
    }),
  )
  const amzDate = value('X-Amz-Date') ?? ''
  const time = parseAmzDate(amzDate)
  if (time === null) {
    throw new S3Error(
      code,
      "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"",
    )
  }
  const expires = value('X-Amz-Expires') ?? ''
  if (!/^\d{1,9}$/.test(expires) || Number(expires) < 1) {
    throw new S3Error(code, 'X-Amz-Expires should be a positive number of seconds')
  }
  if (Number(expires) > maxExpiresSeconds) {
    throw new S3Error(
      code,
      `X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than ${maxExpiresSeconds} seconds`,
    )
  }
  if (time - now.getTime() > maxSkewMs)
    throw new S3Error('AccessDenied', 'Request is not valid yet')
  const endMs = time + Number(expires) * 1000
  if (now.getTime() > endMs) {
    throw new S3Error('AccessDenied', 'Request has expired', {
      fields: {
        'X-Amz-Expires': expires,
        Expires: new Date(endMs).toISOString(),
        ServerTime: now.toISOString(),
      },
    })
  }
  checkDay(parsed, amzDate, { code })
  const payloadHash =
    value('X-Amz-Content-Sha256') ?? headers.get('x-amz-content-sha256') ?? 'UNSIGNED-PAYLOAD'
  return { parsed, amzDate, payloadHash, omitQuery: 'X-Amz-Signature', syntaxCode: code }
}

/** Milliseconds since 1970; null if the text isn't `YYYYMMDDTHHMMSSZ`. */
function parseAmzDate(text: string): number | null {
  const iso = text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z')
  const time = iso === text ? Number.NaN : Date.parse(iso)
  return Number.isNaN(time) ? null : time
}

type SyntaxCode = 'AuthorizationHeaderMalformed' | 'AuthorizationQueryParametersError'

function withCode<T>(code: SyntaxCode, parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    if (cause instanceof SignatureSyntaxError) throw new S3Error(code, cause.message, { cause })
    throw cause
  }
}

function checkDay(parsed: ParsedSignature, amzDate: string, { code }: { code: SyntaxCode }): void {
  if (amzDate.startsWith(parsed.day)) return
  throw new S3Error(
    code,
    `Invalid credential date "${parsed.day}". This date is not the same as X-Amz-Date: "${amzDate.slice(0, 8)}".`,
  )
}

function checkRegion({ parsed, syntaxCode }: Claim, region: string): void {
  if (parsed.region === region || parsed.region === defaultRegion) return
  throw new S3Error(
    syntaxCode,
    `The region '${parsed.region}' of the credential is wrong; expecting '${region}'`,
    { fields: { Region: region } },
  )
}

/** The Host and every x-amz-* header must be signed, so that nobody on the way can change them. */
function checkSignedHeaders(headers: HeaderMap, parsed: ParsedSignature): void {
  const signed = new Set(parsed.signedHeaders)
  // The payload hash is part of what is signed, whether its header is or not.
  const mustBeSigned = [...headers.keys()].filter(
    (name) => name.startsWith('x-amz-') && name !== 'x-amz-content-sha256',
  )
  const unsigned = ['host', ...mustBeSigned].filter((name) => !signed.has(name))
  if (unsigned.length === 0) return
  throw new S3Error(
    'AccessDenied',
    'There were headers present in the request which were not signed',
    {
      fields: { HeadersNotSigned: unsigned.join(', ') },
    },
  )
}

function tooSkewed(amzDate: string, now: Date): S3Error {
  return new S3Error(
    'RequestTimeTooSkewed',
    'The difference between the request time and the current time is too large.',
    {
      fields: {
        RequestTime: amzDate,
        ServerTime: now.toISOString(),
        MaxAllowedSkewMilliseconds: String(maxSkewMs),
      },
    },
  )
}

function signatureMismatch(parsed: ParsedSignature): S3Error {
  return new S3Error(
    'SignatureDoesNotMatch',
    'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
    { fields: { AWSAccessKeyId: parsed.accessKeyId } },
  )
}
