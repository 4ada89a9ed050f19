import type { BackendResponse } from '../backend/client.ts'
import { S3Error } from '../s3/errors.ts'
import type { HeaderRecord } from '../s3/headers.ts'
import { parseRange, resolveRange } from '../s3/range.ts'
import { objectReadHeaders } from '../s3/request-headers.ts'
import { clientResponseHeaders } from '../s3/response-headers.ts'
import { toBackendEtag } from '../s3/etag.ts'
import { queryValue } from '../s3/target.ts'
import type { Span } from '../stream/object-opener.ts'
import type { PlainBytes } from '../stream/sizes.ts'
import { backendRequest, discardBody, expectSuccess, forwardedQuery } from './backend-call.ts'
import { objectPlace } from './object-place.ts'
import {
  openObject,
  plainSize,
  pumpSpan,
  startSpanRead,
  type ReadableObject,
} from './object-reader.ts'
import type { OperationContext, OperationHandler } from './operation.ts'
import type { Services } from './services.ts'
import {
  encryptionHeaders,
  simplePlainSize,
  storedObject,
  type StoredObject,
} from './stored-object.ts'

/** GetObject, whole, by Range or by partNumber. */
export function getObject(services: Services): OperationHandler {
  return async (context) => {
    if (asksForSpan(context)) await getSpan(context, services)
    else await getWhole(context, services)
  }
}

/** HeadObject: the headers of GetObject. */
export function headObject(services: Services): OperationHandler {
  return async (context) => {
    const stored = await head(context, services)
    if (!asksForSpan(context) && stored.envelope.layout !== 'multipart') {
      const size = simplePlainSize(stored)
      context.response.send(200, { ...objectHeaders(stored), 'content-length': String(size) })
      return
    }
    const object = await openObject(context, services, stored)
    const selection = select(context, object)
    object.dek.destroy()
    context.response.send(selection.status, {
      ...objectHeaders(stored),
      ...selection.headers,
      'content-length': String(selection.span.end - selection.span.start),
    })
  }
}

function asksForSpan(context: OperationContext): boolean {
  return context.headers.has('range') || queryValue(context.target, 'partNumber') !== null
}

/** What of the object the client gets. */
interface Selection {
  readonly status: 200 | 206
  readonly span: Span<PlainBytes>
  readonly headers: HeaderRecord
}

function select(context: OperationContext, object: ReadableObject): Selection {
  const size = plainSize(object)
  const partNumber = queryValue(context.target, 'partNumber')
  const range = applicableRange(context, object)
  if (partNumber !== null) {
    if (context.headers.has('range')) {
      throw new S3Error('InvalidRequest', 'Cannot specify both Range header and partNumber.')
    }
    return selectPart(partNumber, object)
  }
  const span = range === null ? null : resolveRange(range, size)
  if (!span) return { status: 200, span: { start: 0, end: size }, headers: {} }
  return { status: 206, span, headers: contentRange(span, size) }
}

function selectPart(text: string, object: ReadableObject): Selection {
  const number = Number(text)
  if (!/^\d{1,5}$/.test(text) || number < 1 || number > 10_000) {
    throw new S3Error('InvalidArgument', 'Part number must be an integer between 1 and 10000.', {
      fields: { ArgumentName: 'partNumber', ArgumentValue: text },
    })
  }
  const { layout } = object
  const count = layout?.partCount ?? 1
  if (number > count) {
    throw new S3Error('InvalidPartNumber', 'The requested partnumber is not satisfiable', {
      fields: { PartNumberRequested: text, ActualPartCount: String(count) },
    })
  }
  const isMultipart = object.envelope.layout === 'multipart'
  const headers: HeaderRecord = isMultipart ? { 'x-amz-mp-parts-count': String(count) } : {}
  const part = layout?.part(number)
  if (!part || part.size === 0) return { status: 200, span: { start: 0, end: 0 }, headers }
  const span = { start: part.plainOffset, end: part.plainOffset + part.size }
  return { status: 206, span, headers: { ...headers, ...contentRange(span, plainSize(object)) } }
}

function contentRange(span: Span<PlainBytes>, size: PlainBytes): HeaderRecord {
  return { 'content-range': `bytes ${span.start}-${span.end - 1}/${size}` }
}

/** The Range header, unless If-Range names another version than the object's (RFC 9110 §13.1.5). */
function applicableRange(
  context: OperationContext,
  object: StoredObject,
): ReturnType<typeof parseRange> {
  const ifRange = context.headers.get('if-range')
  const range = parseRange(context.headers.get('range'))
  if (ifRange === undefined || range === null) return range
  const matches = ifRange.startsWith('"')
    ? toBackendEtag(ifRange.replaceAll('"', '')) === object.etag
    : ifRange === object.headers.get('last-modified')
  return matches ? range : null
}

function objectHeaders(object: StoredObject): HeaderRecord {
  return {
    'accept-ranges': 'bytes',
    ...clientResponseHeaders(object.headers),
    ...encryptionHeaders(object.envelope),
  }
}

async function head(context: OperationContext, services: Services): Promise<StoredObject> {
  const response = await services.backend.send(
    backendRequest(context, {
      method: 'HEAD',
      query: readQuery(context),
      headers: objectReadHeaders(context.headers),
    }),
  )
  await discardBody(await expectSuccess(response))
  return storedObject(objectPlace(context), response)
}

/** The client's query without what only we can answer. */
function readQuery(context: OperationContext): string {
  return forwardedQuery(context.target)
    .split('&')
    .filter((part) => !part.startsWith('partNumber'))
    .join('&')
}

async function getSpan(context: OperationContext, services: Services): Promise<void> {
  const stored = await head(context, services)
  let first: ReadableObject | null = await openObject(context, services, stored)
  const selection = select(context, first)
  if (selection.span.start === selection.span.end) {
    sendEmpty(context, stored, selection)
    return
  }
  const read = await startSpanRead(context, services, {
    target: {
      ...objectPlace(context),
      query: readQuery(context),
      headers: objectReadHeaders(context.headers),
    },
    async describe() {
      const object = first ?? (await openObject(context, services, await head(context, services)))
      first = null
      return object
    },
    choose: (object) => select(context, object).span,
  })
  const chosen = select(context, read.object)
  const sink = context.response.start(chosen.status, {
    ...objectHeaders(read.object),
    ...chosen.headers,
    'content-length': String(chosen.span.end - chosen.span.start),
  })
  await pumpSpan(context, services, { read, sink })
}

async function getWhole(context: OperationContext, services: Services): Promise<void> {
  const response: BackendResponse = await services.backend.send(
    backendRequest(context, {
      method: 'GET',
      query: readQuery(context),
      headers: objectReadHeaders(context.headers),
    }),
  )
  await expectSuccess(response)
  try {
    const stored = storedObject(objectPlace(context), response)
    const object = await openObject(context, services, stored)
    const span = { start: 0, end: plainSize(object) }
    if (span.end === 0) {
      await discardBody(response)
      sendEmpty(context, stored, { status: 200, span, headers: {} })
      return
    }
    const sink = context.response.start(200, {
      ...objectHeaders(object),
      'content-length': String(span.end),
    })
    await pumpSpan(context, services, { read: { object, span, response }, sink })
  } catch (error) {
    response.body.abort(new Error('read given up'))
    throw error
  }
}

function sendEmpty(context: OperationContext, object: StoredObject, selection: Selection): void {
  context.response.send(selection.status, { ...objectHeaders(object), ...selection.headers })
}
