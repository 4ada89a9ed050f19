import type { HeaderMap, HeaderRecord } from '../s3/headers.ts'
import type { ByteSink, ByteSource } from '../stream/bytes.ts'

/** One request to the backend; the client adds host, signature headers and content-length. */
export interface BackendRequest {
  readonly method: string
  /** Null for requests to the service itself. */
  readonly bucket: string | null
  /** The key as it stands in the request path, percent-encoded; '' for requests to a bucket. */
  readonly rawKey: string
  /** Without the question mark, percent-encoded. */
  readonly rawQuery: string
  readonly headers: HeaderRecord
  /** Aborting destroys the request and its connection. */
  readonly signal: AbortSignal
  /** Shows in the log lines about this request. */
  readonly requestId: string
}

export interface BackendResponse {
  readonly status: number
  readonly headers: HeaderMap
  /** Must be delivered or aborted, else its connection is never free again. */
  readonly body: ByteSource
}

/** An upload that runs: bytes go into the sink, the answer may come before the last of them. */
export interface BackendUpload {
  readonly sink: ByteSink
  readonly response: Promise<BackendResponse>
}

/** The backend can't be reached, timed out or broke off. */
export class BackendError extends Error {
  override readonly name = 'BackendError'
  readonly code:
    'CONNECT' | 'TIMEOUT' | 'RESET' | 'PROTOCOL' | 'REFUSED' | 'ABORTED' | 'CREDENTIALS'

  constructor(code: BackendError['code'], message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}

export interface BackendClient {
  /** Sends a request whose body, if any, is at hand. Retries as configured: the body is replayable. */
  send(request: BackendRequest, body?: Buffer): Promise<BackendResponse>
  /** Starts a request with a body of exactly `size` bytes. Never retried. */
  upload(request: BackendRequest, size: number): BackendUpload
  close(): Promise<void>
}
