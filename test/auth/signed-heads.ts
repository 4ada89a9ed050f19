import { expect } from 'vitest'
import { authenticate, type Authenticated, type RequestHead } from '../../src/auth/authenticate.ts'
import { Credential, fixedCredentials } from '../../src/auth/credentials.ts'
import { S3Error } from '../../src/s3/errors.ts'
import { parseTarget } from '../../src/s3/target.ts'
import { canonicalRequest, sha256Hex, type SignableRequest } from '../../src/sigv4/canonical.ts'
import { signRequest } from '../../src/sigv4/sign.ts'
import {
  amzDate,
  credentialScope,
  hmac,
  signingKey,
  stringToSign,
} from '../../src/sigv4/signing-key.ts'

export const now = new Date('2026-03-04T05:06:07Z')
export const region = 'eu-central-1'
export const accessKeyId = 'AKIDEXAMPLE'
export const secretAccessKey = 'the secret of the caller'
export const host = 'proxy.example:9000'

/** A request that differs from a correct one in what a test is about. */
export interface HeadOptions {
  readonly method?: string
  readonly target?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly now?: Date
  readonly region?: string
  readonly accessKeyId?: string
  readonly secretAccessKey?: string
  readonly payloadHash?: string
}

/** A request signed by its Authorization header; all of `headers` is signed. */
export function signedHead(options: HeadOptions = {}): RequestHead {
  const { method = 'GET', target = '/bucket/key?versionId=1' } = options
  const parsed = parseTarget(target, { host, virtualHostDomains: [] })
  const { headers } = signRequest(
    {
      method,
      rawPath: parsed.rawPath,
      rawQuery: parsed.rawQuery,
      headers: { host, ...options.headers },
    },
    {
      accessKeyId: options.accessKeyId ?? accessKeyId,
      secretAccessKey: options.secretAccessKey ?? secretAccessKey,
      region: options.region ?? region,
      now: options.now ?? now,
      payloadHash: options.payloadHash ?? 'UNSIGNED-PAYLOAD',
    },
  )
  return { method, target: parsed, headers: new Map(Object.entries(headers)) }
}

/** The Authorization header; '' if there is none. */
export function authorization(head: RequestHead): string {
  return head.headers.get('authorization') ?? ''
}

/** The head with headers replaced or, if undefined, taken away after it was signed. */
export function withHeaders(
  head: RequestHead,
  changes: Readonly<Record<string, string | undefined>>,
): RequestHead {
  const headers = new Map(head.headers)
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) headers.delete(name)
    else headers.set(name, value)
  }
  return { ...head, headers }
}

export function withTarget(head: RequestHead, target: string): RequestHead {
  return { ...head, target: parseTarget(target, { host, virtualHostDomains: [] }) }
}

export interface PresignOptions {
  readonly method?: string
  readonly path?: string
  /** Parameters in place of the usual ones; undefined takes one away. */
  readonly query?: Readonly<Record<string, string | undefined>>
  readonly headers?: Readonly<Record<string, string>>
  readonly signedHeaders?: readonly string[]
  readonly payloadHash?: string
}

/** A request with a presigned URL whose signature fits, however odd its parameters are. */
export function presignedHead(options: PresignOptions = {}): RequestHead {
  const { method = 'GET', path = '/bucket/key', payloadHash = 'UNSIGNED-PAYLOAD' } = options
  const headers = { host, ...options.headers }
  const signedHeaders = options.signedHeaders ?? ['host']
  const date = amzDate(now)
  const day = date.slice(0, 8)
  const scope = credentialScope(day, region)
  const query: Record<string, string | undefined> = {
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${accessKeyId}/${scope}`,
    'X-Amz-Date': date,
    'X-Amz-Expires': '60',
    'X-Amz-SignedHeaders': signedHeaders.join(';'),
    ...options.query,
  }
  const rawQuery = Object.entries(query)
    .map(([name, value]) => (value === undefined ? '' : `${name}=${encodeURIComponent(value)}`))
    .filter((part) => part !== '')
    .join('&')
  const signature = sign({ method, rawPath: path, rawQuery, headers }, signedHeaders, {
    payloadHash,
    statedDate: query['X-Amz-Date'] ?? date,
  })
  const target = parseTarget(`${path}?${rawQuery}&X-Amz-Signature=${signature}`, {
    host,
    virtualHostDomains: [],
  })
  return { method, target, headers: new Map(Object.entries(headers)) }
}

/** A request without `x-amz-date`: its time is that of the Date header. */
export function headSignedByDate(): RequestHead {
  const headers = {
    host,
    date: now.toUTCString(),
    'x-amz-content-sha256': 'UNSIGNED-PAYLOAD',
  }
  const signedHeaders = ['date', 'host', 'x-amz-content-sha256']
  const request = { method: 'GET', rawPath: '/bucket/key', rawQuery: '', headers }
  const signature = sign(request, signedHeaders, {
    payloadHash: 'UNSIGNED-PAYLOAD',
    statedDate: amzDate(now),
  })
  const scope = credentialScope(amzDate(now).slice(0, 8), region)
  const authorization = `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${signedHeaders.join(';')}, Signature=${signature}`
  return {
    method: 'GET',
    target: parseTarget('/bucket/key', { host, virtualHostDomains: [] }),
    headers: new Map(Object.entries({ ...headers, authorization })),
  }
}

function sign(
  request: SignableRequest,
  signedHeaders: readonly string[],
  { payloadHash, statedDate }: { readonly payloadHash: string; readonly statedDate: string },
): string {
  const day = amzDate(now).slice(0, 8)
  const scope = credentialScope(day, region)
  const requestHash = sha256Hex(canonicalRequest(request, signedHeaders, { payloadHash }))
  const key = signingKey(secretAccessKey, day, region)
  return hmac(key, stringToSign(statedDate, scope, requestHash)).toString('hex')
}

const credentials = fixedCredentials([
  new Credential(accessKeyId, secretAccessKey),
  new Credential('AKIDOTHER', 'another secret'),
])

export function authenticated(head: RequestHead, at: Date = now): Authenticated {
  return authenticate(head, { credentials, region, now: at })
}

/** The S3Error with which a request is refused; fails if it isn't, or with something else. */
export function refusal(head: RequestHead, at: Date = now): S3Error {
  try {
    authenticated(head, at)
  } catch (error) {
    if (error instanceof S3Error) return error
    throw error
  }
  return expect.fail('the request was accepted')
}
