import cluster, { type Worker } from 'node:cluster'
import type { Config } from './config/schema.ts'
import { startDataPlane } from './data-plane-setup.ts'
import { openKeys } from './keys-setup.ts'
import { createLogger, type Logger } from './observe/logger.ts'
import { ipcChannel } from './state/channel.ts'
import type { StateStore } from './state/ports.ts'
import { RemoteStateStore } from './state/remote-state-store.ts'
import { serveStateStore } from './state/serve-state-store.ts'

/** The longest that a worker may take to come up, key derivation included. */
const startTimeoutMs = 60_000
const restartDelayMs = 1_000
/** What a worker may take to end, beyond the time that its requests have. */
const stopMarginMs = 5_000

type ToWorker = { readonly kind: 'config'; readonly config: Config } | { readonly kind: 'stop' }
type FromWorker =
  | { readonly kind: 'listening'; readonly url: string }
  | { readonly kind: 'failed'; readonly message: string }

export interface WorkerGroup {
  readonly url: string
  /** How many workers serve; one that is still coming up doesn't. */
  readonly serving: () => number
  /** Lets workers drain; those that don't end within their time are killed. */
  close(): Promise<void>
}

/**
 * Starts `config.server.workers` processes that serve S3 on one port. A worker that dies, or doesn't
 * come up, is replaced. Throws if the first ones don't come up; then none is left behind.
 */
export async function startWorkers(
  config: Config,
  parts: { readonly store: StateStore; readonly log: Logger },
): Promise<WorkerGroup> {
  let isClosing = false
  const workers = new Set<Worker>()
  const serving = new Set<Worker>()

  const start = async (): Promise<string> => {
    const worker = cluster.fork()
    workers.add(worker)
    serveStateStore(parts.store, ipcChannel(worker.process))
    worker.on('error', (error) => parts.log.error({ err: error }, 'worker is out of reach'))
    worker.on('exit', (code, signal) => {
      workers.delete(worker)
      serving.delete(worker)
      if (isClosing) return
      parts.log.error({ pid: worker.process.pid, exit_code: code, signal }, 'worker ended')
      setTimeout(replace, restartDelayMs)
    })
    worker.send({ kind: 'config', config } satisfies ToWorker)
    try {
      const url = await listeningUrl(worker)
      serving.add(worker)
      return url
    } catch (error) {
      // Its end makes room for the next attempt.
      worker.process.kill('SIGKILL')
      throw error
    }
  }
  const replace = (): void => {
    if (isClosing) return
    start().catch((error: unknown) => parts.log.error({ err: error }, 'worker did not come up'))
  }

  const close = async (): Promise<void> => {
    isClosing = true
    const graceMs = config.server.limits.shutdown_grace + stopMarginMs
    await Promise.all([...workers].map((worker) => stopWorker(worker, graceMs)))
  }

  try {
    const urls = await Promise.all(Array.from({ length: config.server.workers }, start))
    return { url: urls[0] ?? '', serving: () => serving.size, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Resolves once the process has ended. */
function stopWorker(worker: Worker, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => worker.process.kill('SIGKILL'), graceMs)
    worker.once('exit', () => {
      clearTimeout(timer)
      resolve()
    })
    // A worker that is gone already has no channel; its exit is about to be reported.
    if (worker.isConnected()) worker.send({ kind: 'stop' } satisfies ToWorker)
  })
}

function listeningUrl(worker: Worker): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('worker takes too long')), startTimeoutMs)
    worker.on('message', (message: FromWorker) => {
      if (message.kind === 'listening') resolve(message.url)
      if (message.kind === 'failed') reject(new Error(message.message))
    })
    worker.once('exit', (code) => reject(new Error(`worker ended with exit code ${code}`)))
    worker.once('exit', () => clearTimeout(timer))
    worker.on('message', () => clearTimeout(timer))
  })
}

/** A worker process: serves S3 as the control process tells it to. */
export function runWorker(): void {
  const send = (message: FromWorker): void => {
    process.send?.(message)
  }
  let close: (() => Promise<void>) | null = null
  const store = new RemoteStateStore(ipcChannel(process))
  // Signals of the terminal reach every process; the control process says when it is time to stop.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined)
  process.on('disconnect', () => process.exit(1))
  process.on('message', (message: ToWorker) => {
    if (message.kind === 'stop') {
      void (close?.() ?? Promise.resolve()).finally(() => process.exit(0))
    } else if (message.kind === 'config') {
      serve(message.config, store)
        .then(({ url, stop }) => {
          close = stop
          return send({ kind: 'listening', url })
        })
        .catch((error: unknown) => {
          send({ kind: 'failed', message: error instanceof Error ? error.message : String(error) })
        })
    }
  })
}

async function serve(
  config: Config,
  store: StateStore,
): Promise<{ url: string; stop: () => Promise<void> }> {
  const logger = createLogger(config.logging)
  const registry = await openKeys(config, logger('kms'))
  const dataPlane = await startDataPlane(config, { registry, store, logger })
  return {
    url: dataPlane.url,
    async stop() {
      await dataPlane.close()
      await registry.close()
    },
  }
}
