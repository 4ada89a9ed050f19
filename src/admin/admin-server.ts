import { randomBytes } from 'node:crypto'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'
import { Hono } from 'hono'
import { overallStatus, type HealthSource } from './health.ts'

export interface AdminOptions {
  readonly host: string
  readonly port: number
  readonly health: HealthSource
}

export interface AdminServer {
  readonly url: string
  close(): Promise<void>
}

/** Serves the operator's side: the health endpoints, which tell nobody more than a status. */
export async function startAdmin(options: AdminOptions): Promise<AdminServer> {
  const server = createAdaptorServer({ fetch: adminApp(options.health).fetch }) as Server
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

export function adminApp(health: HealthSource): Hono {
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
  app.notFound((context) =>
    context.json(
      { error: 'not found', code: 'NOT_FOUND', request_id: randomBytes(8).toString('hex') },
      404,
    ),
  )
  return app
}
