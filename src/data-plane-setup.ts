import { readFileSync } from 'node:fs'
import { Credential, fixedCredentials } from './auth/credentials.ts'
import { NodeBackendClient } from './backend/node-client.ts'
import type { Config } from './config/schema.ts'
import { S3Listener } from './data-plane/s3-listener.ts'
import { IntermediateKeys } from './envelope/intermediate-keys.ts'
import { ObjectKeys } from './envelope/object-keys.ts'
import { RegistryKeks } from './envelope/registry-keks.ts'
import type { KeyRegistry } from './kms/registry.ts'
import type { Logger } from './observe/logger.ts'
import { operationHandlers } from './ops/index.ts'
import { LayoutCache } from './ops/layout-cache.ts'
import type { StateStore } from './state/ports.ts'
import { maxStoredPartSize } from './stream/sizes.ts'

export interface DataPlane {
  readonly url: string
  /** Drains, then closes what belongs to it; registry and store stay the caller's. */
  close(): Promise<void>
}

export interface DataPlaneParts {
  readonly registry: KeyRegistry
  readonly store: StateStore
  readonly logger: (component: string) => Logger
}

/** Serves S3 in this process. */
export async function startDataPlane(config: Config, parts: DataPlaneParts): Promise<DataPlane> {
  const { envelope } = config.encryption
  const backend = new NodeBackendClient(backendOptions(config), parts.logger('backend'))
  const intermediateKeys = new IntermediateKeys(new RegistryKeks(parts.registry), {
    maxObjects: envelope.intermediate_key.max_objects,
    maxAgeMs: envelope.intermediate_key.max_age,
    cacheTtlMs: envelope.dek_cache_ttl,
    cacheMaxSize: envelope.dek_cache_max_size,
  })
  const listener = new S3Listener(listenerOptions(config), {
    credentials: fixedCredentials(
      config.credentials.map((pair) => new Credential(pair.access_key_id, pair.secret_access_key)),
    ),
    handlers: operationHandlers({
      backend,
      keys: new ObjectKeys(intermediateKeys),
      store: parts.store,
      layouts: new LayoutCache(),
      maxCopySize: maxStoredPartSize,
    }),
    log: parts.logger('s3'),
  })
  const url = await listener.listen()
  return {
    url,
    async close() {
      await listener.close()
      await backend.close()
      intermediateKeys.close()
    },
  }
}

function backendOptions({ backend }: Config) {
  const { tls, timeouts } = backend
  return {
    endpoint: backend.endpoint,
    region: backend.region,
    accessKeyId: backend.access_key_id,
    secretAccessKey: backend.secret_access_key,
    addressing: backend.addressing,
    payload: backend.payload,
    tls: {
      ...(tls.ca_file !== undefined && { ca: readFileSync(tls.ca_file) }),
      ...(tls.cert_file !== undefined && { cert: readFileSync(tls.cert_file) }),
      ...(tls.key_file !== undefined && { key: readFileSync(tls.key_file) }),
    },
    connectTimeoutMs: timeouts.connect,
    responseTimeoutMs: timeouts.response,
    idleTimeoutMs: timeouts.idle,
    retries: backend.retries,
    maxConnections: backend.max_connections,
  }
}

function listenerOptions({ server }: Config) {
  const { limits, tls } = server
  return {
    ...server.listen,
    region: server.region,
    virtualHostDomains: server.virtual_host_domains,
    tls: tls ? { cert: readFileSync(tls.cert_file), key: readFileSync(tls.key_file) } : null,
    limits: {
      maxHeaderSize: limits.max_header_size,
      maxConnections: limits.max_connections,
      maxRequestsInFlight: limits.max_requests_in_flight,
      headerTimeoutMs: limits.header_timeout,
      idleTimeoutMs: limits.body_idle_timeout,
      shutdownGraceMs: limits.shutdown_grace,
    },
  }
}
