import { request } from 'node:http'
import { connect } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { startAdmin, type AdminServer } from '../../src/admin/admin-server.ts'
import type { HealthCheck, HealthSource } from '../../src/admin/health.ts'
import type { LogFields, Logger } from '../../src/observe/logger.ts'
import { silentLogger } from '../../src/observe/logger.ts'

const opened: AdminServer[] = []
afterEach(async () => {
  for (const server of opened.splice(0)) await server.close()
})

async function started(
  health: Partial<HealthSource> = {},
  { host = '127.0.0.1', log = silentLogger }: { host?: string; log?: Logger } = {},
): Promise<AdminServer> {
  const source = { checks: () => ({}), isReady: () => true, ...health }
  const server = await startAdmin({ host, port: 0, health: source, log })
  opened.push(server)
  return server
}

async function get(url: string): Promise<[status: number, body: unknown]> {
  const response = await fetch(url)
  return [response.status, await response.json()]
}

/** Sends a path as it is, which `fetch` wouldn't. */
function getRaw(base: string, path: string, method = 'GET'): Promise<number> {
  const { hostname, port } = new URL(base)
  return new Promise((resolve, reject) => {
    request({ hostname, port, path, method, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
      .on('error', reject)
      .end()
  })
}

const check = (status: HealthCheck['status']): HealthCheck => ({
  status,
  message: 'disk-7 is gone',
})

describe('/health', () => {
  test.each<[name: string, checks: Record<string, HealthCheck>, code: number, status: string]>([
    ['nothing to check', {}, 200, 'healthy'],
    ['all well', { s3: check('healthy'), state: check('healthy') }, 200, 'healthy'],
    ['one degraded', { s3: check('healthy'), state: check('degraded') }, 200, 'degraded'],
    ['one unhealthy', { s3: check('unhealthy'), state: check('healthy') }, 503, 'unhealthy'],
    ['the worst last', { s3: check('degraded'), state: check('unhealthy') }, 503, 'unhealthy'],
    ['the worst first', { s3: check('unhealthy'), state: check('degraded') }, 503, 'unhealthy'],
  ])('%s', async (_, checks, code, status) => {
    const { url } = await started({ checks: () => checks })
    expect(await get(`${url}/health`)).toEqual([code, { status }])
  })

  test('follows what happens', async () => {
    let status: HealthCheck['status'] = 'healthy'
    const { url } = await started({ checks: () => ({ s3: check(status) }) })
    expect(await get(`${url}/health`)).toEqual([200, { status: 'healthy' }])
    status = 'unhealthy'
    expect(await get(`${url}/health`)).toEqual([503, { status: 'unhealthy' }])
  })
})

describe('/health/live and /health/ready', () => {
  test('tell being alive from being able to serve', async () => {
    let isReady = false
    const { url } = await started({ isReady: () => isReady })
    expect(await get(`${url}/health/live`)).toEqual([200, { status: 'ok' }])
    expect(await get(`${url}/health/ready`)).toEqual([503, { status: 'not ready' }])
    isReady = true
    expect(await get(`${url}/health/ready`)).toEqual([200, { status: 'ready' }])
  })

  test('an unhealthy proxy is still alive, so that it is not restarted for nothing', async () => {
    const { url } = await started({ checks: () => ({ kms: check('unhealthy') }) })
    expect(await get(`${url}/health/live`)).toEqual([200, { status: 'ok' }])
  })
})

describe('everything else', () => {
  test.each(['/', '/metrics', '/health/', '/health/kms', '/healthz', '/Health', '/health/live/x'])(
    '%s is not found',
    async (path) => {
      const { url } = await started()
      expect(await get(url + path)).toEqual([
        404,
        {
          error: 'not found',
          code: 'NOT_FOUND',
          request_id: expect.stringMatching(/^[0-9a-f]{16}$/),
        },
      ])
    },
  )

  test.each(['POST', 'PUT', 'DELETE', 'PATCH'])('%s is not found', async (method) => {
    const { url } = await started()
    expect(await getRaw(url, '/health', method)).toBe(404)
  })

  test.each(['//health', '/health%00', '/%', '/health;x'])('%s does no harm', async (path) => {
    const { url } = await started()
    expect([400, 404]).toContain(await getRaw(url, path))
    expect(await get(`${url}/health/live`)).toEqual([200, { status: 'ok' }])
  })

  test('has a request id of its own each time', async () => {
    const { url } = await started()
    const [first, second] = [await get(`${url}/x`), await get(`${url}/x`)]
    expect(first).not.toEqual(second)
  })
})

describe('a failing health source', () => {
  test('is answered without its reason, which goes to the log under the same request id', async () => {
    const logged: LogFields[] = []
    const log = { ...silentLogger, error: (fields: LogFields) => void logged.push(fields) }
    const checks = (): never => {
      throw new Error('planted-5ecret')
    }
    const { url } = await started({ checks }, { log })
    const [status, body] = await get(`${url}/health`)
    expect(status).toBe(500)
    expect(body).toEqual({
      error: 'internal error',
      code: 'INTERNAL',
      request_id: expect.any(String),
    })
    const { request_id } = body as { request_id: string }
    expect(logged).toEqual([{ err: new Error('planted-5ecret'), request_id }])
  })
})

describe('the listener', () => {
  test('gives its address, IPv6 included', async () => {
    expect((await started()).url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
    const { url } = await started({}, { host: '::1' })
    expect(url).toMatch(/^http:\/\/\[::1\]:\d+$/)
    expect(await get(`${url}/health/live`)).toEqual([200, { status: 'ok' }])
  })

  test('refuses an address in use', async () => {
    const { url } = await started()
    const options = { host: '127.0.0.1', port: Number(new URL(url).port), log: silentLogger }
    const health = { checks: () => ({}), isReady: () => true }
    await expect(startAdmin({ ...options, health })).rejects.toThrow('EADDRINUSE')
  })

  test('closes although a connection is held open', async () => {
    const server = await started()
    const { hostname, port } = new URL(server.url)
    const socket = connect(Number(port), hostname)
    const ended = new Promise((resolve) => socket.once('close', resolve))
    await new Promise((resolve) => socket.once('connect', resolve))
    socket.write('GET /health HTTP/1.1\r\nhost: x\r\n')
    socket.on('error', () => undefined)
    await server.close()
    await ended
    await expect(fetch(`${server.url}/health`)).rejects.toThrow('fetch failed')
  })
})
