/** A multipart upload in flight, kept only so that ListMultipartUploads can hand out usable ids. */
export interface UploadRecord {
  readonly bucket: string
  readonly key: string
  readonly backendUploadId: string
  /** The token that the client knows as upload id. */
  readonly token: string
}

/**
 * The part sizes of one multipart object whose layout can't be computed from its stored size.
 * `etag` is the backend's, without quotes; null from before Complete until its answer is known.
 */
export interface LayoutRecord {
  readonly bucket: string
  readonly key: string
  readonly backendUploadId: string
  readonly etag: string | null
  readonly storedSize: number
  /** Plaintext size of part 1…N, in bytes; empty if only known to be irregular. */
  readonly partSizes: readonly number[]
}

/** Thrown by every port while the store can't be reached or has not opened yet. */
export class StateUnavailableError extends Error {
  override readonly name = 'StateUnavailableError'
}

export interface UploadStore {
  putUpload(record: UploadRecord): Promise<void>
  deleteUpload(bucket: string, backendUploadId: string): Promise<void>
  /** Tokens by backend upload id, for those of the ids that are known. */
  findUploads(bucket: string, backendUploadIds: readonly string[]): Promise<Map<string, string>>
}

export interface LayoutStore {
  /** Inserts, or replaces the record of the same bucket, key and backend upload id. */
  putLayout(record: LayoutRecord): Promise<void>
  /** Fills in the ETag of a record after Complete. */
  setLayoutEtag(bucket: string, key: string, backendUploadId: string, etag: string): Promise<void>
  deleteLayouts(bucket: string, key: string): Promise<void>
  /** All records of each key (several versions or attempts may exist). */
  findLayouts(bucket: string, keys: readonly string[]): Promise<LayoutRecord[]>
  /** True if every irregular object of the bucket is known to have its record. */
  hasCompleteRecords(bucket: string): Promise<boolean>
  markRecordsComplete(bucket: string): Promise<void>
  /** Forgets records and mark of a bucket that was deleted. */
  forgetBucket(bucket: string): Promise<void>
}

export interface StateStore extends UploadStore, LayoutStore {
  close(): Promise<void>
}
