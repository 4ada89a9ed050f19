import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, test } from 'vitest'
import type { BackendError, BackendResponse } from '../../src/backend/client.ts'
import type { BackendOptions, NodeBackendClient } from '../../src/backend/node-client.ts'
import { readBody } from '../../src/backend/read-body.ts'
import { backendClient, objectRequest as request } from '../support/backend-client.ts'
import { bodyOf, headOf, RawServer, type RawConnection } from '../support/raw-server.ts'

const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
const soon = { timeout: 10_000, interval: 5 }
const closers: (() => Promise<void>)[] = []

afterEach(async () => {
  await Promise.all(closers.splice(0).map((close) => close()))
})

type Script = (connection: RawConnection, index: number) => void

async function backend(script: Script, options: Partial<BackendOptions> = {}) {
  const server = new RawServer(script)
  const endpoint = await server.listen()
  closers.push(async () => server.close())
  return { server, client: clientOf({ endpoint, ...options }) }
}

function clientOf(options: Partial<BackendOptions> & { endpoint: string }): NodeBackendClient {
  const client = backendClient(options)
  closers.push(() => client.close())
  return client
}

/** Gives each connection the next answer; null resets it. */
function answers(...texts: (string | null)[]): Script {
  return ({ socket }, index) => {
    const text = texts[Math.min(index, texts.length - 1)] ?? null
    if (text === null) socket.resetAndDestroy()
    else socket.end(text)
  }
}

function code(expected: BackendError['code']): object {
  return expect.objectContaining({ name: 'BackendError', code: expected }) as object
}

async function text(response: BackendResponse): Promise<string> {
  return (await readBody(response, 1024 * 1024)).toString()
}

describe('send', () => {
  test('asks and gives status, headers and body', async () => {
    const { server, client } = await backend(
      answers('HTTP/1.1 404 Not Found\r\nX-A: 1\r\nx-a: 2\r\ncontent-length: 4\r\n\r\ngone'),
    )
    const response = await client.send(
      request('GET', { rawKey: 'a%20b', rawQuery: 'versionId=1', headers: { range: 'bytes=0-1' } }),
    )
    expect(response.status).toBe(404)
    expect(response.headers.get('x-a')).toBe('1,2')
    expect(await text(response)).toBe('gone')
    const head = headOf(server.connection())
    expect(head).toMatch(/^GET \/b\/a%20b\?versionId=1 HTTP\/1\.1\r\n/)
    expect(head).toMatch(/\r\nrange: bytes=0-1\r\n/i)
    expect(head).toMatch(/\r\nauthorization: AWS4-HMAC-SHA256 Credential=backend\//i)
    expect(head).not.toMatch(/content-length|transfer-encoding/i)
  })

  test('escapes what an HTTP request line may not hold', async () => {
    const { server, client } = await backend(answers(ok))
    await text(await client.send(request('GET', { rawKey: 'ä b', rawQuery: 'x=\u00e4 \r\n' })))
    expect(headOf(server.connection())).toMatch(/^GET \/b\/%E4%20b\?x=%E4%20%0D%0A HTTP/)
  })

  test.each([
    { addressing: 'virtual', bucket: 'b', host: /^host: b\.127\.0\.0\.1:\d+$/m, path: '/k' },
    { addressing: 'path', bucket: 'b', host: /^host: 127\.0\.0\.1:\d+$/m, path: '/b/k' },
    { addressing: 'virtual', bucket: null, host: /^host: 127\.0\.0\.1:\d+$/m, path: '/' },
  ] as const)(
    'addresses $addressing, bucket $bucket',
    async ({ addressing, bucket, host, path }) => {
      const { server, client } = await backend(answers(ok), { addressing })
      const rawKey = bucket === null ? '' : 'k'
      await text(await client.send(request('GET', { bucket, rawKey })))
      const head = headOf(server.connection())
      expect(head.replaceAll('\r', '')).toMatch(host)
      expect(head).toContain(`GET ${path} HTTP`)
    },
  )

  test.each([
    { name: 'small', body: Buffer.from('<a/>') },
    { name: 'larger than any buffer', body: randomBytes(5 * 1024 * 1024 + 1) },
  ])('sends a $name body whole', async ({ body }) => {
    const { server, client } = await backend((connection) => {
      connection.socket.on('data', () => {
        if (bodyOf(connection).length === body.length) connection.socket.end(ok)
      })
      if (bodyOf(connection).length === body.length) connection.socket.end(ok)
    })
    expect(await text(await client.send(request('PUT'), body))).toBe('ok')
    const connection = server.connection()
    expect(headOf(connection)).toMatch(
      new RegExp(`\\r\\ncontent-length: ${body.length}\\r\\n`, 'i'),
    )
    expect(bodyOf(connection).equals(body)).toBe(true)
  })

  test.each(['PUT', 'POST'])('states the length of an empty %s', async (method) => {
    const { server, client } = await backend(answers(ok))
    await text(await client.send(request(method)))
    expect(headOf(server.connection())).toMatch(/content-length: 0/i)
  })
})

describe('retries', () => {
  const busy = 'HTTP/1.1 503 Slow Down\r\ncontent-length: 4\r\n\r\nbusy'

  test.each([
    { name: 'a reset', script: answers(null, ok), method: 'GET' },
    { name: '503', script: answers(busy, ok), method: 'PUT' },
    { name: 'two failures', script: answers(busy, null, ok), method: 'DELETE' },
    { name: 'an answer that is none', script: answers('nonsense\r\n\r\n', ok), method: 'HEAD' },
  ])('repeats $method after $name', async ({ script, method }) => {
    const { server, client } = await backend(script)
    const response = await client.send(request(method), Buffer.from(method === 'PUT' ? 'body' : ''))
    expect(response.status).toBe(200)
    await readBody(response, 100)
    const last = server.connection(-1)
    expect(bodyOf(last).toString()).toBe(method === 'PUT' ? 'body' : '')
    await expect.poll(() => server.openConnections, soon).toBe(0)
  })

  test('gives the last answer when all are refusals', async () => {
    const { server, client } = await backend(answers(busy))
    const response = await client.send(request('GET'))
    expect(response.status).toBe(503)
    expect(await text(response)).toBe('busy')
    expect(server.connections).toHaveLength(3)
  })

  test.each([
    { name: 'POST', options: request('POST', { rawQuery: 'uploads' }), attempts: 1 },
    { name: 'POST ?delete', options: request('POST', { rawQuery: 'delete' }), attempts: 3 },
    { name: 'GET', options: request('GET'), attempts: 3 },
  ])('tries $name $attempts times', async ({ options, attempts }) => {
    const { server, client } = await backend(answers(null))
    await expect(client.send(options)).rejects.toEqual(code('RESET'))
    expect(server.connections).toHaveLength(attempts)
  })

  test('gives a 503 to POST back as it is', async () => {
    const { server, client } = await backend(answers(busy, ok))
    const response = await client.send(
      request('POST', { rawQuery: 'uploadId=1' }),
      Buffer.from('x'),
    )
    expect(response.status).toBe(503)
    expect(await text(response)).toBe('busy')
    expect(server.connections).toHaveLength(1)
  })

  test("doesn't repeat what the backend refuses", async () => {
    const { server, client } = await backend(
      answers('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n'),
    )
    const response = await client.send(request('GET'))
    expect(await text(response)).toBe('')
    expect(server.connections).toHaveLength(1)
  })

  test('gives up on a backend that is not there', async () => {
    const { server, client } = await backend(answers(ok))
    server.close()
    await expect(client.send(request('GET'))).rejects.toEqual(code('CONNECT'))
  })

  test('stops when the signal aborts between two tries', async () => {
    const abort = new AbortController()
    const { server, client } = await backend(
      ({ socket }) => {
        socket.resetAndDestroy()
        setTimeout(() => abort.abort(), 20)
      },
      { retries: 10 },
    )
    await expect(client.send(request('GET', { signal: abort.signal }))).rejects.toEqual(
      code('ABORTED'),
    )
    expect(server.connections.length).toBeLessThan(3)
  })
})

describe('limits', () => {
  test('gives up when no answer comes', async () => {
    const { server, client } = await backend(() => undefined, {
      responseTimeoutMs: 100,
      retries: 0,
    })
    await expect(client.send(request('GET'))).rejects.toEqual(code('TIMEOUT'))
    await expect.poll(() => server.openConnections, soon).toBe(0)
  })

  test('gives up when the backend never reads the body', async () => {
    const { client } = await backend(({ socket }) => socket.pause(), {
      idleTimeoutMs: 200,
      retries: 0,
    })
    await expect(client.send(request('PUT'), Buffer.alloc(16 * 1024 * 1024))).rejects.toEqual(
      code('TIMEOUT'),
    )
  })

  test('gives up when the TLS handshake never ends', async () => {
    const server = new RawServer(() => undefined)
    const endpoint = (await server.listen()).replace('http:', 'https:')
    closers.push(async () => server.close())
    const client = clientOf({ endpoint, connectTimeoutMs: 100, retries: 0 })
    await expect(client.send(request('GET'))).rejects.toEqual(code('CONNECT'))
  })

  test('gives up waiting for a free connection', async () => {
    const { client } = await backend(() => undefined, {
      maxConnections: 1,
      idleTimeoutMs: 100,
      retries: 0,
    })
    const first = new AbortController()
    const blocking = client.send(request('GET', { signal: first.signal }))
    await expect(client.send(request('GET'))).rejects.toEqual(code('TIMEOUT'))
    const second = new AbortController()
    const waiting = client.send(request('GET', { signal: second.signal }))
    second.abort()
    await expect(waiting).rejects.toEqual(code('ABORTED'))
    first.abort()
    await expect(blocking).rejects.toEqual(code('ABORTED'))
  })

  test('refuses an answer whose head is too large', async () => {
    const { client } = await backend(
      answers(`HTTP/1.1 200 OK\r\nx: ${'a'.repeat(100_000)}\r\n\r\n`),
      { retries: 0 },
    )
    await expect(client.send(request('GET'))).rejects.toEqual(code('PROTOCOL'))
  })

  test('refuses an answer whose body is larger than its reader wants', async () => {
    const { server, client } = await backend(({ socket }) =>
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n12345'),
    )
    const response = await client.send(request('GET'))
    await expect(readBody(response, 4)).rejects.toEqual(code('PROTOCOL'))
    await expect.poll(() => server.openConnections, soon).toBe(0)
  })
})
