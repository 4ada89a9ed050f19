export interface QueryParameter {
  /** Decoded. */
  readonly name: string
  /** Decoded; '' if there was no value. */
  readonly value: string
}

/** What a request's target and Host name, with nothing normalised. */
export interface Target {
  /** The path of the request line, without query, exactly as it came. */
  readonly rawPath: string
  /** The query, without the question mark, exactly as it came; '' if none. */
  readonly rawQuery: string
  /** Null for requests to the service (ListBuckets). */
  readonly bucket: string | null
  /** The key as it stands in the path (percent-encoded); '' for requests to a bucket. */
  readonly rawKey: string
  /** The decoded key. */
  readonly key: string
  readonly query: readonly QueryParameter[]
}
