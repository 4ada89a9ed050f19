import type { Envelope } from '../envelope/envelope.ts'
import type { HeaderMap, HeaderRecord } from '../s3/headers.ts'
import type { XmlElement } from '../s3/xml.ts'
import type { Dek } from '../stream/dek.ts'
import type { StoredObject } from './stored-object.ts'

/** A copy as the backend will make it: whose ciphertext, under which headers. */
export interface CopyPlan {
  readonly source: StoredObject
  readonly dek: Dek
  readonly envelope: Envelope
  /** Metadata and content headers of the copy, the envelope included. */
  readonly headers: HeaderRecord
  readonly copySource: string
}

/** What the backend answered to a finished copy. */
export interface CopyDone {
  readonly headers: HeaderMap
  readonly result: XmlElement
}
