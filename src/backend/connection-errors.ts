import { BackendError } from './client.ts'

/** A connection to the backend that broke off, or on which nothing moved for too long. */
export function brokenBackend(what: 'cut' | 'stalled', cause?: Error): BackendError {
  return what === 'cut'
    ? toBackendError(cause)
    : new BackendError('TIMEOUT', 'nothing moves on the connection to the backend')
}

/** What `node:http` reports, in our words; without a cause the connection closed without a word. */
export function toBackendError(cause: unknown): BackendError {
  if (cause instanceof BackendError) return cause
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  const suffix = code === '' ? '' : ` (${code})`
  if (code.startsWith('HPE_')) {
    return new BackendError('PROTOCOL', `backend does not speak HTTP${suffix}`, { cause })
  }
  const isConnect =
    /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ERR_TLS|ERR_SSL|CERT_|UNABLE_|SELF_SIGNED|DEPTH_)/.test(
      code,
    )
  return isConnect
    ? new BackendError('CONNECT', `backend can't be reached${suffix}`, { cause })
    : new BackendError('RESET', `backend broke the connection off${suffix}`, { cause })
}
