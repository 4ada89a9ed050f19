import { randomBytes } from 'node:crypto'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'
import { Hono } from 'hono'
import type { Logger } from '../observe/logger.ts'
import { overallStatus, type HealthSource } from './health.ts'

export interface AdminOptions {
  readonly host: string
  readonly port: number
  readonly health: HealthSource
  readonly log: Logger
}

export interface AdminServer {
  readonly url: string
  close(): Promise<void>
}

/** More than any number of probes and operators; nobody has to sign in to connect. */
const maxConnections = 256

/**
 * Serves the operator's side: the health endpoints, which tell nobody more than a status. Throws if
 * the address can't be listened on.
 */
export async function startAdmin(options: AdminOptions): Promise<AdminServer> {
  const { fetch } = adminApp(options.health, options.log)
  const server = createAdaptorServer({ fetch }) as Server
  server.maxConnections = maxConnections
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, options.host, resolve)
  })
  const { address, family, port } = server.address() as AddressInfo
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function adminApp(health: HealthSource, log: Logger): Hono {
  const app = new Hono()
  app.get('/health', (context) => {
    const status = overallStatus(health.checks())
    return context.json({ status }, status === 'unhealthy' ? 503 : 200)
  })
  app.get('/health/live', (context) => context.json({ status: 'ok' }))
  app.get('/health/ready', (context) =>
    health.isReady()
      ? context.json({ status: 'ready' })
      : context.json({ status: 'not ready' }, 503),
  )
  app.notFound((context) => context.json(failure('not found', 'NOT_FOUND'), 404))
  app.onError((error, context) => {
    const answer = failure('internal error', 'INTERNAL')
    log.error({ err: error, request_id: answer.request_id }, 'admin request failed')
    return context.json(answer, 500)
  })
  return app
}

function failure(error: string, code: string) {
  return { error, code, request_id: randomBytes(8).toString('hex') }
}
