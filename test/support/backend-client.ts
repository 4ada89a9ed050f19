import { NodeBackendClient, type BackendOptions } from '../../src/backend/node-client.ts'
import type { BackendRequest } from '../../src/backend/client.ts'
import { silentLogger } from '../../src/observe/logger.ts'

/** A client with long timeouts, for a backend on this machine. */
export function backendClient(
  options: Partial<BackendOptions> & { readonly endpoint: string },
): NodeBackendClient {
  return new NodeBackendClient(
    {
      region: 'us-east-1',
      accessKeyId: 'backend',
      secretAccessKey: 'secret',
      addressing: 'path',
      payload: 'unsigned',
      tls: {},
      connectTimeoutMs: 2_000,
      responseTimeoutMs: 10_000,
      idleTimeoutMs: 10_000,
      retries: 2,
      maxConnections: 10,
      ...options,
    },
    silentLogger,
  )
}

/** A request on object `k` in bucket `b`, unless told otherwise. */
export function objectRequest(
  method: string,
  options: Partial<BackendRequest> = {},
): BackendRequest {
  return {
    method,
    bucket: 'b',
    rawKey: 'k',
    rawQuery: '',
    headers: {},
    signal: new AbortController().signal,
    requestId: 'R',
    ...options,
  }
}
