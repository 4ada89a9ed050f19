import { getEventListeners } from 'node:events'
import { afterEach, describe, expect, test } from 'vitest'
import type { BackendError, BackendResponse } from '../../src/backend/client.ts'
import type { BackendOptions, NodeBackendClient } from '../../src/backend/node-client.ts'
import { readBody } from '../../src/backend/read-body.ts'
import { backendClient, objectRequest as request } from '../support/backend-client.ts'
import { RawServer, type RawConnection } from '../support/raw-server.ts'

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

describe('answers that break', () => {
  test.each([
    { name: 'length', head: 'content-length: 10' },
    { name: 'chunks', head: 'transfer-encoding: chunked', body: '4\r\nhalf\r\n' },
  ])('an answer that is cut ($name) never ends', async ({ head, body = 'half' }) => {
    for (const cut of ['end', 'destroy', 'resetAndDestroy'] as const) {
      // oxlint-disable-next-line no-await-in-loop -- one server after the other
      const { client } = await backend(({ socket }) => {
        socket.write(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n${body}`)
        setTimeout(() => socket[cut](), 20)
      })
      // oxlint-disable-next-line no-await-in-loop -- one server after the other
      const response = await client.send(request('GET'))
      // oxlint-disable-next-line no-await-in-loop -- one server after the other
      await expect(readBody(response, 100)).rejects.toEqual(code('RESET'))
    }
  })

  test('an answer that stalls breaks', async () => {
    const { server, client } = await backend(
      ({ socket }) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf'),
      { idleTimeoutMs: 100 },
    )
    const response = await client.send(request('GET'))
    await expect(readBody(response, 100)).rejects.toEqual(code('TIMEOUT'))
    await expect.poll(() => server.openConnections, soon).toBe(0)
  })

  test('an answer that is not wanted frees its connection', async () => {
    const { server, client } = await backend(({ socket }) =>
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf'),
    )
    const response = await client.send(request('GET'))
    response.body.abort(new Error('enough'))
    await expect.poll(() => server.openConnections, soon).toBe(0)
  })
})

describe('the signal', () => {
  test('aborted before: nothing is sent', async () => {
    const { server, client } = await backend(answers(ok))
    const signal = AbortSignal.abort()
    await expect(client.send(request('GET', { signal }))).rejects.toEqual(code('ABORTED'))
    const { sink, response } = client.upload(request('PUT', { signal }), 5)
    const failed = new Promise<Error>((resolve) => sink.onError(resolve))
    await expect(response).rejects.toEqual(code('ABORTED'))
    expect(await failed).toEqual(code('ABORTED'))
    expect(server.connections.filter(({ received }) => received.length > 0)).toEqual([])
  })

  test('aborted while waiting for the answer: the connection is closed', async () => {
    const abort = new AbortController()
    const { server, client } = await backend(() => abort.abort())
    await expect(client.send(request('GET', { signal: abort.signal }))).rejects.toEqual(
      code('ABORTED'),
    )
    await expect.poll(() => server.openConnections, soon).toBe(0)
    expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0)
  })

  test.each([
    { when: 'before', abortFirst: true },
    { when: 'after', abortFirst: false },
  ])(
    'aborted $when its body is asked for: no part of it passes for the whole',
    async ({ abortFirst }) => {
      const abort = new AbortController()
      const { server, client } = await backend(({ socket }) =>
        socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 20000\r\n\r\n${'a'.repeat(20_000)}`),
      )
      const response = await client.send(request('GET', { signal: abort.signal }))
      await new Promise((resolve) => setTimeout(resolve, 20))
      if (abortFirst) abort.abort()
      const body = readBody(response, 100_000)
      if (!abortFirst) abort.abort()
      await expect(body).rejects.toEqual(code('ABORTED'))
      await expect.poll(() => server.openConnections, soon).toBe(0)
    },
  )

  test('keeps no listener once the exchange is over', async () => {
    const abort = new AbortController()
    const { client } = await backend(answers(ok))
    await text(await client.send(request('GET', { signal: abort.signal })))
    await expect.poll(() => getEventListeners(abort.signal, 'abort').length, soon).toBe(0)
  })
})

describe('kept connections', () => {
  /** Answers each request on a connection. */
  const keeping: Script = (connection) => {
    connection.socket.write(ok)
    connection.socket.on('data', () => connection.socket.write(ok))
  }

  test('are used again', async () => {
    const { server, client } = await backend(keeping)
    expect(await text(await client.send(request('GET')))).toBe('ok')
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(await text(await client.send(request('POST')))).toBe('ok')
    expect(server.connections).toHaveLength(1)
  })

  test('that the backend closed are not', async () => {
    const { server, client } = await backend(keeping)
    await text(await client.send(request('GET')))
    server.connections[0]?.socket.destroy()
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(await text(await client.send(request('POST')))).toBe('ok')
    expect(server.connections).toHaveLength(2)
  })

  test('that break under a request make it repeat', async () => {
    const { server, client } = await backend((connection, index) => {
      connection.socket.write(ok)
      connection.socket.on('data', () =>
        index === 0 ? connection.socket.resetAndDestroy() : connection.socket.write(ok),
      )
    })
    await text(await client.send(request('GET')))
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(await text(await client.send(request('GET')))).toBe('ok')
    expect(server.connections).toHaveLength(2)
  })

  test('end when the client closes', async () => {
    const { server, client } = await backend(keeping)
    await text(await client.send(request('GET')))
    await client.close()
    await expect.poll(() => server.openConnections, soon).toBe(0)
  })

  test('end by themselves when idle', async () => {
    const { server, client } = await backend(keeping)
    await text(await client.send(request('GET')))
    await expect.poll(() => server.openConnections, soon).toBe(0)
  })
})
