import type { Caller } from '../auth/caller.ts'
import type { Logger } from '../observe/logger.ts'
import type { HeaderMap, HeaderRecord } from '../s3/headers.ts'
import type { PayloadMode } from '../s3/payload-mode.ts'
import type { OperationName } from '../s3/operations.ts'
import type { Target } from '../s3/target.ts'
import type { ByteSink, ByteSource } from '../stream/bytes.ts'

/** The request's body. Whichever is called first answers `Expect: 100-continue`. */
export interface RequestBody {
  /** The declared content-length; null if there is none. */
  readonly length: number | null
  /** The body as it comes over the wire, aws-chunked framing included. */
  source(): ByteSource
}

/** The answer. Either `send` or `start` is called, once. */
export interface ClientResponse {
  /** Sends a whole answer; `content-length` is set from the body. */
  send(status: number, headers: HeaderRecord, body?: Buffer | string): void
  /**
   * Gives the body's sink; status and headers go out with its first bytes. With a
   * `content-length` header exactly that many bytes must follow; without it the body is chunked.
   */
  start(status: number, headers: HeaderRecord): ByteSink
  /** True once status and headers are out: from then on an error can only destroy. */
  readonly started: boolean
}

export interface OperationContext {
  readonly requestId: string
  readonly operation: OperationName
  readonly method: string
  readonly target: Target
  readonly headers: HeaderMap
  readonly caller: Caller
  readonly payload: PayloadMode
  /** Aborted when the client is gone or the proxy gives the request up. */
  readonly signal: AbortSignal
  readonly log: Logger
  readonly body: RequestBody
  readonly response: ClientResponse
  /** The error document for an error that comes too late for a status of its own. */
  describeError(error: unknown): string
}

/**
 * Carries out one operation and answers it. Resolves once the whole answer has been handed to the
 * response's sink; rejects with an error that the caller turns into an error document or, if the
 * answer has started, into a destroyed connection.
 */
export type OperationHandler = (context: OperationContext) => Promise<void>
