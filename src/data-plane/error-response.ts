import { BackendError } from '../backend/client.ts'
import { KeyProviderError, type KeyProviderErrorCode } from '../kms/provider.ts'
import { BackendFailure } from '../ops/backend-call.ts'
import { S3Error, type S3ErrorCode } from '../s3/errors.ts'
import { StateUnavailableError } from '../state/ports.ts'
import { IntegrityError } from '../stream/errors.ts'

const retryAfter = { 'retry-after': '5' }

const keyErrorCodes: Readonly<Record<KeyProviderErrorCode, S3ErrorCode>> = {
  CONNECT: 'ServiceUnavailable',
  THROTTLED: 'ServiceUnavailable',
  AUTH: 'ServiceUnavailable',
  DENIED: 'AccessDenied',
  NOT_FOUND: 'KMS.NotFoundException',
  DISABLED: 'KMS.DisabledException',
  VERSION_GONE: 'KMS.KMSInvalidStateException',
  REJECTED: 'InternalError',
}

/** How loud an error is: the client's own, the world's, or a sign of tampering or of a bug. */
export type ErrorSeverity = 'caller' | 'outside' | 'alarm'

export interface DescribedError {
  readonly s3: S3Error
  readonly severity: ErrorSeverity
}

/**
 * Turns any error into what the client is told. Integrity faults and bugs are vague outside; the
 * exact error is for the log. A {@link BackendFailure} isn't described: it passes as it came.
 */
export function describeError(error: unknown): DescribedError {
  if (error instanceof S3Error) return { s3: error, severity: 'caller' }
  if (error instanceof IntegrityError) {
    return {
      s3: new S3Error('InternalError', 'The object failed its integrity check and is not served.', {
        cause: error,
      }),
      severity: 'alarm',
    }
  }
  if (error instanceof KeyProviderError) return describeKeyError(error)
  if (error instanceof BackendError) {
    return outside('The storage behind this proxy does not answer. Please try again.', error)
  }
  if (error instanceof StateUnavailableError) {
    return outside('The state store is not available. Please try again.', error)
  }
  if (error instanceof BackendFailure) {
    return {
      s3: new S3Error('InternalError', `The storage refused the request: ${error.code}`, {
        cause: error,
      }),
      severity: 'outside',
    }
  }
  return {
    s3: new S3Error('InternalError', 'We encountered an internal error. Please try again.', {
      cause: error,
    }),
    severity: 'alarm',
  }
}

function describeKeyError(error: KeyProviderError): DescribedError {
  const code = keyErrorCodes[error.code]
  if (code === 'InternalError') {
    return {
      s3: new S3Error(code, 'The object failed its integrity check and is not served.', {
        cause: error,
      }),
      severity: 'alarm',
    }
  }
  const headers = code === 'ServiceUnavailable' ? retryAfter : {}
  return { s3: new S3Error(code, error.message, { headers, cause: error }), severity: 'outside' }
}

function outside(message: string, cause: Error): DescribedError {
  return {
    s3: new S3Error('ServiceUnavailable', message, { headers: retryAfter, cause }),
    severity: 'outside',
  }
}
