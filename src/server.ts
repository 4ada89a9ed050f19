import { startAdmin } from './admin/admin-server.ts'
import type { HealthCheck } from './admin/health.ts'
import type { Config } from './config/schema.ts'
import { startDataPlane } from './data-plane-setup.ts'
import { openKeys, testKeys } from './keys-setup.ts'
import type { Logger } from './observe/logger.ts'
import { openStateStore, type OpeningStateStore } from './state/state-store.ts'
import { startWorkers } from './workers.ts'

export interface RunningServer {
  readonly s3Url: string
  readonly adminUrl: string
  /** Drains and stops everything. */
  close(): Promise<void>
}

/**
 * Starts the proxy: keys are opened and proved, the state store opens in the background, then S3 is
 * served in this process (`workers: 0`) or in workers. Throws if keys or addresses can't be used.
 */
export async function startServer(
  config: Config,
  logger: (component: string) => Logger,
): Promise<RunningServer> {
  const registry = await openKeys(config, logger('kms'))
  const opened: { close(): Promise<void> }[] = [registry]
  try {
    await testKeys(registry)
    const store = openStateStore({ url: config.state.url, logger: logger('state') })
    store.ready().catch((error: unknown) => {
      logger('state').error({ err: error }, 'state store stays closed')
    })
    opened.unshift(store)
    const s3 =
      config.server.workers === 0
        ? { ...(await startDataPlane(config, { registry, store, logger })), serving: () => 1 }
        : await startWorkers(config, { store, log: logger('server') })
    opened.unshift(s3)
    let isStopping = false
    const health = {
      checks: () => healthChecks(store, s3.serving()),
      isReady: () => !isStopping && s3.serving() > 0,
    }
    const admin = await startAdmin({ ...config.admin.listen, health, log: logger('admin') })
    // Last, so that probes are answered while requests in flight are finished.
    opened.push(admin)
    logger('server').info({ s3: s3.url, admin: admin.url }, 'serving')
    const close = (): Promise<void> => {
      isStopping = true
      return closeAll(opened)
    }
    return { s3Url: s3.url, adminUrl: admin.url, close }
  } catch (error) {
    await closeAll(opened)
    throw error
  }
}

/** Closes each part in turn, whatever becomes of the ones before; then throws the first failure. */
async function closeAll(parts: readonly { close(): Promise<void> }[]): Promise<void> {
  const failures: unknown[] = []
  for (const part of parts) {
    await part.close().catch((error: unknown) => failures.push(error))
  }
  if (failures.length > 0) throw failures[0]
}

/** The data plane serves without its state store, so an outage of it only degrades. */
function healthChecks(store: OpeningStateStore, workers: number): Record<string, HealthCheck> {
  const state = store.health()
  return {
    s3: workers > 0 ? { status: 'healthy' } : { status: 'unhealthy', message: 'no worker' },
    state: state === 'ready' ? { status: 'healthy' } : { status: 'degraded', message: state },
  }
}
