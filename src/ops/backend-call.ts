import { BackendError, type BackendRequest, type BackendResponse } from '../backend/client.ts'
import { readBody } from '../backend/read-body.ts'
import type { HeaderRecord } from '../s3/headers.ts'
import { clientResponseHeaders } from '../s3/response-headers.ts'
import { encodeKey, encodeQueryValue, type Target } from '../s3/target.ts'
import { parseXml, XmlError, type XmlElement } from '../s3/xml.ts'
import type { OperationContext } from './operation.ts'

/** Largest XML answer of a backend that is read into memory. */
export const maxBackendXmlSize = 16 * 1024 * 1024
/** Largest body of a backend's answer that has no data of an object. */
const maxErrorBodySize = 256 * 1024

/**
 * The query of a client without what belongs to its signature or SDK. It is encoded anew, so that
 * the backend can't read it otherwise than we did.
 */
export function forwardedQuery(target: Target): string {
  return target.query
    .filter(({ name }) => !/^(x-amz-.*|x-id)$/i.test(name))
    .map(({ name, value }) => `${encodeQueryValue(name)}=${encodeQueryValue(value)}`)
    .join('&')
}

/** A query from names and values; parameters without a value are given as ''. */
export function buildQuery(parameters: Readonly<Record<string, string | undefined>>): string {
  return Object.entries(parameters)
    .filter((entry): entry is [string, string] => entry[1] !== undefined)
    .map(([name, value]) => `${encodeQueryValue(name)}=${encodeQueryValue(value)}`)
    .join('&')
}

export interface CallOptions {
  readonly method: string
  readonly query?: string
  readonly headers?: HeaderRecord
  readonly bucket?: string | null
  /** The decoded key of another object than the one asked for. */
  readonly key?: string
}

/** A backend request on the object or bucket that the client asked for, unless told otherwise. */
export function backendRequest(context: OperationContext, options: CallOptions): BackendRequest {
  const { target } = context
  return {
    method: options.method,
    bucket: options.bucket === undefined ? target.bucket : options.bucket,
    rawKey: options.key === undefined ? target.rawKey : encodeKey(options.key),
    rawQuery: options.query ?? '',
    headers: options.headers ?? {},
    signal: context.signal,
    requestId: context.requestId,
  }
}

/**
 * Passes a backend's answer on to the client as it is, but for what headers may not show. An error
 * answer becomes a {@link BackendFailure}.
 */
export async function relay(context: OperationContext, response: BackendResponse): Promise<void> {
  if (response.status >= 400) await expectSuccess(response)
  const body = await readBody(response, maxBackendXmlSize)
  context.response.send(response.status, clientResponseHeaders(response.headers), body)
}

/** A backend's error answer, to be passed on by {@link relayFailure}. */
export class BackendFailure extends Error {
  override readonly name = 'BackendFailure'
  readonly response: { status: number; headers: HeaderRecord; body: Buffer }

  constructor(response: BackendFailure['response']) {
    super(`backend answered ${response.status}`)
    this.response = response
  }

  /** The S3 error code in the body; '' if there is none. */
  get code(): string {
    return /<Code>([^<]{1,100})<\/Code>/.exec(this.response.body.toString('latin1'))?.[1] ?? ''
  }
}

/** Gives an answer of status 2xx back; any other becomes a {@link BackendFailure}. */
export async function expectSuccess(response: BackendResponse): Promise<BackendResponse> {
  if (response.status >= 200 && response.status < 300) return response
  const body = await readBody(response, maxErrorBodySize)
  const { status, headers } = response
  const failure = new BackendFailure({ status, headers: clientResponseHeaders(headers), body })
  if (!ownFaults.has(failure.code)) throw failure
  throw new BackendError('CREDENTIALS', `backend refuses the proxy's credentials: ${failure.code}`)
}

/** Refusals of the proxy's own signature: no fault of the client, and none of its business. */
const ownFaults: ReadonlySet<string> = new Set([
  'AuthorizationHeaderMalformed',
  'InvalidAccessKeyId',
  'RequestTimeTooSkewed',
  'SignatureDoesNotMatch',
  'XAdminUserNotFound',
])

/** Reads an answer to its end, so that its connection can be used again. */
export async function discardBody(response: BackendResponse): Promise<void> {
  await readBody(response, maxErrorBodySize)
}

/** Reads an XML answer. An `Error` document under status 200 becomes a {@link BackendFailure}. */
export async function readXml(response: BackendResponse): Promise<XmlElement> {
  const body = await readBody(await expectSuccess(response), maxBackendXmlSize)
  let root
  try {
    root = parseXml(body, { maxBytes: maxBackendXmlSize })
  } catch (cause) {
    if (!(cause instanceof XmlError)) throw cause
    throw new BackendError('PROTOCOL', `backend answered malformed XML: ${cause.message}`, {
      cause,
    })
  }
  if (root.name === 'Error') {
    throw new BackendFailure({ status: 500, headers: { 'content-type': 'application/xml' }, body })
  }
  return root
}
