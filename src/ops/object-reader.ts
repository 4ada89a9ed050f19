import type { BackendResponse } from '../backend/client.ts'
import { S3Error } from '../s3/errors.ts'
import type { HeaderRecord } from '../s3/headers.ts'
import type { ByteSink } from '../stream/bytes.ts'
import type { Dek } from '../stream/dek.ts'
import { FormatError, IntegrityError } from '../stream/errors.ts'
import { Layout } from '../stream/layout.ts'
import { ObjectOpener, storedSpan, type Span } from '../stream/object-opener.ts'
import { pump } from '../stream/pump.ts'
import type { PlainBytes } from '../stream/sizes.ts'
import { backendRequest, expectSuccess } from './backend-call.ts'
import { multipartLayout, rediscoverLayout } from './multipart-layout.ts'
import type { OperationContext } from './operation.ts'
import type { Services } from './services.ts'
import { isSameVersion, simplePlainSize, storedObject, type StoredObject } from './stored-object.ts'

/** How often a read starts over because the object was replaced meanwhile. */
const maxAttempts = 3

/** An object whose DEK is open and whose plaintext size is known. `layout` is null if empty. */
export interface ReadableObject extends StoredObject {
  readonly dek: Dek
  readonly layout: Layout | null
  readonly isInferred: boolean
}

/** Opens an object's keys and learns its layout; makes backend calls for multipart objects only. */
export async function openObject(
  context: OperationContext,
  services: Services,
  object: StoredObject,
): Promise<ReadableObject> {
  const dek = await services.keys.open(object.place, object.envelope)
  if (object.envelope.layout === 'multipart') {
    const { layout, origin } = await multipartLayout(context, services, { ...object, dek })
    if (layout.plainSize === 0) return { ...object, dek, layout: null, isInferred: false }
    return { ...object, dek, layout, isInferred: origin === 'inferred' }
  }
  const plainSize = simplePlainSize(object)
  const layout = plainSize === 0 ? null : Layout.single(plainSize)
  return { ...object, dek, layout, isInferred: false }
}

/** The object's size as clients see it. */
export function plainSize(object: ReadableObject): PlainBytes {
  return object.layout?.plainSize ?? 0
}

export interface SpanRead {
  readonly object: ReadableObject
  readonly span: Span<PlainBytes>
  /** A running GET of exactly the stored span. */
  readonly response: BackendResponse
}

export interface ReadTarget {
  readonly bucket: string
  readonly key: string
  /** Query of the GET: version and response overrides. */
  readonly query: string
  readonly headers: HeaderRecord
}

/**
 * Starts reading the span that `choose` picks from an object that HEAD described. If the object
 * is replaced between the two requests, it starts over with the new one.
 */
export async function startSpanRead(
  context: OperationContext,
  services: Services,
  options: {
    readonly target: ReadTarget
    readonly describe: () => Promise<ReadableObject>
    readonly choose: (object: ReadableObject) => Span<PlainBytes>
  },
): Promise<SpanRead> {
  const { target } = options
  for (let attempt = 1; ; attempt += 1) {
    const object = await options.describe()
    const span = options.choose(object)
    if (!object.layout) throw new Error('an empty object has no span to read')
    const stored = storedSpan(object.layout, span)
    const response = await expectSuccess(
      await services.backend.send(
        backendRequest(context, {
          method: 'GET',
          bucket: target.bucket,
          key: target.key,
          query: target.query,
          headers: { ...target.headers, range: `bytes=${stored.start}-${stored.end - 1}` },
        }),
      ),
    )
    const found = storedObject(object.place, response)
    const contentRange = `bytes ${stored.start}-${stored.end - 1}/${object.storedSize}`
    if (isSameVersion(object, found) && response.headers.get('content-range') === contentRange) {
      return { object, span, response }
    }
    response.body.abort(new Error('another version than expected'))
    if (isSameVersion(object, found)) {
      throw new FormatError('backend answered another range than asked for')
    }
    if (attempt === maxAttempts) {
      throw new S3Error('SlowDown', 'The object is being replaced too often. Please try again.')
    }
  }
}

/**
 * Decrypts a span into the client's answer. When the layout was only inferred from sizes and proves
 * wrong, it is searched, so that the client's next try succeeds.
 */
export async function pumpSpan(
  context: OperationContext,
  services: Services,
  { read, sink }: { read: SpanRead; sink: ByteSink },
): Promise<void> {
  const { object, span, response } = read
  if (!object.layout) throw new Error('an empty object has no span to read')
  const opener = new ObjectOpener(object.dek, object.layout, span)
  try {
    await pump(response.body, sink, opener, { signal: context.signal })
  } catch (error) {
    if (error instanceof IntegrityError && object.isInferred) {
      await rediscoverLayout(context, services, object)
    }
    throw error
  }
}
