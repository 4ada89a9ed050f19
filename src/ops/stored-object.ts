import { BackendError, type BackendResponse } from '../backend/client.ts'
import { readEnvelope, type Envelope } from '../envelope/envelope.ts'
import type { ObjectPlace } from '../envelope/place.ts'
import { S3Error } from '../s3/errors.ts'
import type { HeaderMap, HeaderRecord } from '../s3/headers.ts'
import { FormatError } from '../stream/errors.ts'
import { objectPlainSize, type StoredBytes } from '../stream/sizes.ts'

/** One version of an encrypted object as the backend's answer to a GET or HEAD describes it. */
export interface StoredObject {
  readonly place: ObjectPlace
  readonly envelope: Envelope
  readonly storedSize: StoredBytes
  /** The backend's, without quotes. */
  readonly etag: string
  readonly versionId: string | null
  /** All headers of the backend's answer. */
  readonly headers: HeaderMap
}

/** Reads the description out of a successful answer. Throws S3Error for objects that aren't ours. */
export function storedObject(place: ObjectPlace, response: BackendResponse): StoredObject {
  const { headers } = response
  const envelope = readEnvelope(headers)
  if (!envelope) {
    throw new S3Error(
      'AccessDenied',
      'The object is not encrypted by this proxy and plaintext objects are not allowed here.',
    )
  }
  return {
    place,
    envelope,
    storedSize: totalSize(headers),
    etag: (headers.get('etag') ?? '').replaceAll('"', ''),
    versionId: headers.get('x-amz-version-id') ?? null,
    headers,
  }
}

/** True if both describe the same version under the same keys. */
export function isSameVersion(a: StoredObject, b: StoredObject): boolean {
  return (
    a.etag === b.etag &&
    a.storedSize === b.storedSize &&
    a.envelope.sealedDek.equals(b.envelope.sealedDek)
  )
}

/** The plaintext size of an `empty` or `single` object. Throws FormatError if the sizes disagree. */
export function simplePlainSize(object: StoredObject): number {
  const { storedSize, envelope } = object
  const plainSize = objectPlainSize(storedSize)
  const isValid =
    plainSize !== null && (envelope.layout === 'empty' ? storedSize === 0 : plainSize > 0)
  if (!isValid) {
    throw new FormatError(`stored size ${storedSize} is impossible for layout ${envelope.layout}`)
  }
  return plainSize
}

/** How encrypted objects present themselves, as S3 does with SSE-KMS. */
export function encryptionHeaders(envelope: Envelope): HeaderRecord {
  return {
    'x-amz-server-side-encryption': 'aws:kms',
    'x-amz-server-side-encryption-aws-kms-key-id': envelope.kek,
  }
}

function totalSize(headers: HeaderMap): StoredBytes {
  const range = headers.get('content-range')
  const text = range === undefined ? headers.get('content-length') : /\/(\d+)$/.exec(range)?.[1]
  if (text === undefined || !/^\d{1,15}$/.test(text)) {
    throw new BackendError('PROTOCOL', "backend doesn't state the object's size")
  }
  return Number(text)
}
