import type { OperationName } from '../s3/operations.ts'

/** What the log line about a request says that comes to be known on the way. */
export interface SeenRequest {
  operation: OperationName | null
  bucket: string | null
  accessKeyId: string | null
  errorCode: string | null
}

/** What goes with a request from its head to its answer. */
export interface RequestLife {
  readonly requestId: string
  /** Aborted with the reason why the request isn't going on. */
  readonly signal: AbortSignal
  readonly seen: SeenRequest
}
