import { afterEach, describe, expect, test } from 'vitest'
import type { BackendError, BackendUpload } from '../../src/backend/client.ts'
import type { BackendOptions } from '../../src/backend/node-client.ts'
import { BackendFailure } from '../../src/ops/backend-call.ts'
import { sendBody } from '../../src/ops/upload.ts'
import type { ByteSource } from '../../src/stream/bytes.ts'
import { backendClient, objectRequest } from '../support/backend-client.ts'
import { Pieces } from '../support/pieces.ts'
import { bodyOf, headOf, RawServer, type RawConnection } from '../support/raw-server.ts'
import { identityStage } from '../support/identity-stage.ts'

const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
const denied =
  'HTTP/1.1 403 Forbidden\r\ncontent-type: application/xml\r\ncontent-length: 40\r\n\r\n' +
  '<Error><Code>AccessDenied</Code></Error>'
const soon = { timeout: 10_000, interval: 5 }
const closers: (() => Promise<void>)[] = []

afterEach(async () => {
  await Promise.all(closers.splice(0).map((close) => close()))
})

async function start(
  script: (connection: RawConnection) => void,
  size: number,
  options: Partial<BackendOptions> & { signal?: AbortSignal } = {},
) {
  const server = new RawServer(script)
  const client = backendClient({ endpoint: await server.listen(), ...options })
  closers.push(async () => {
    await client.close()
    server.close()
  })
  const { signal = new AbortController().signal } = options
  return { server, client, signal, upload: client.upload(objectRequest('PUT', { signal }), size) }
}

function send(
  { upload, signal }: { upload: BackendUpload; signal: AbortSignal },
  source: ByteSource,
) {
  return sendBody({ signal }, upload, { source, stage: identityStage })
}

function declaredSize(connection: RawConnection): number {
  return Number(/content-length: (\d+)/i.exec(headOf(connection))?.[1])
}

function code(expected: BackendError['code']): object {
  return expect.objectContaining({ name: 'BackendError', code: expected }) as object
}

const payloads = ['unsigned', 'signed-chunks'] as const

describe.each(payloads)('an answer before the end of the body (%s)', (payload) => {
  const size = 64 * 1024 * 1024
  const isDenied = expect.objectContaining({
    name: 'BackendFailure',
    code: 'AccessDenied',
  }) as object

  test.each([
    {
      name: 'on a connection that is kept open and not read',
      script: ({ socket }: RawConnection) => {
        socket.write(denied)
        socket.pause()
      },
    },
    {
      name: 'on a connection that is kept open and read',
      script: ({ socket }: RawConnection) => socket.write(denied),
    },
    {
      name: 'on a connection that is half closed',
      script: ({ socket }: RawConnection) => socket.end(denied),
    },
    {
      name: 'in two steps',
      script: ({ socket }: RawConnection) => {
        socket.write(denied.slice(0, -10))
        setTimeout(() => socket.write(denied.slice(-10)), 50)
      },
    },
  ])('is what the caller gets, $name', async ({ script }) => {
    const run = await start(script, size, { payload })
    const source = new Pieces(Buffer.alloc(size))
    const failure = await send(run, source).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(BackendFailure)
    expect(failure).toEqual(isDenied)
    expect(source.abortReason).toEqual(code('REFUSED'))
    await expect
      .poll(
        () => run.server.connection().isClosed || run.server.connection().socket.isPaused(),
        soon,
      )
      .toBe(true)
    expect(bodyOf(run.server.connection()).length).toBeLessThan(size)
  })

  test('frees the connection', async () => {
    const run = await start(({ socket }) => socket.write(denied), size, {
      payload,
      maxConnections: 1,
    })
    await expect(send(run, new Pieces(Buffer.alloc(size)))).rejects.toEqual(isDenied)
    await expect.poll(() => run.server.openConnections, soon).toBe(0)
    const again = run.client.upload(objectRequest('PUT'), size)
    await expect(send({ ...run, upload: again }, new Pieces(Buffer.alloc(size)))).rejects.toEqual(
      isDenied,
    )
  })

  test('while the source is paused is what the caller gets', async () => {
    const run = await start(
      ({ socket }) => {
        socket.pause()
        setTimeout(() => socket.write(denied), 100)
      },
      size,
      { payload },
    )
    await expect(send(run, new Pieces(Buffer.alloc(size)))).rejects.toEqual(isDenied)
  })

  test('is no success, whatever it says', async () => {
    const run = await start(({ socket }) => socket.write(ok), size, { payload })
    await expect(send(run, new Pieces(Buffer.alloc(size)))).rejects.toEqual(code('REFUSED'))
    await expect.poll(() => run.server.openConnections, soon).toBe(0)
  })

  test('that stalls or breaks off is an error of the backend', async () => {
    const stalled = await start(({ socket }) => socket.write(denied.slice(0, -1)), size, {
      payload,
      idleTimeoutMs: 200,
    })
    await expect(send(stalled, new Pieces(Buffer.alloc(size)))).rejects.toEqual(code('TIMEOUT'))
    const cut = await start(({ socket }) => socket.end(denied.slice(0, -1)), size, { payload })
    await expect(send(cut, new Pieces(Buffer.alloc(size)))).rejects.toEqual(code('RESET'))
  })
})

describe.each(payloads)('a backend that fails under an upload (%s)', (payload) => {
  const size = 32 * 1024 * 1024

  test('by never reading is given up', async () => {
    const run = await start(({ socket }) => socket.pause(), size, { payload, idleTimeoutMs: 200 })
    await expect(send(run, new Pieces(Buffer.alloc(size)))).rejects.toEqual(code('TIMEOUT'))
    await expect(run.upload.response).rejects.toEqual(code('TIMEOUT'))
  })

  test('by never reading the last bytes is given up', async () => {
    const run = await start(({ socket }) => socket.pause(), size, { payload, idleTimeoutMs: 200 })
    await new Promise((resolve) => setTimeout(resolve, 50))
    run.upload.sink.write([Buffer.alloc(size)])
    run.upload.sink.end()
    await expect(run.upload.response).rejects.toEqual(code('TIMEOUT'))
  })

  test('by never answering is given up', async () => {
    const run = await start(() => undefined, 5, { payload, responseTimeoutMs: 100 })
    await expect(send(run, new Pieces(Buffer.from('hello')))).rejects.toEqual(code('TIMEOUT'))
    await expect.poll(() => run.server.openConnections, soon).toBe(0)
  })

  test.each(['destroy', 'resetAndDestroy'] as const)(
    'by leaving (%s) is an error',
    async (leave) => {
      const run = await start(
        ({ socket }) => {
          setTimeout(() => socket[leave](), 20)
        },
        size,
        { payload },
      )
      await expect(send(run, new Pieces(Buffer.alloc(size - 1), 'stall'))).rejects.toEqual(
        code('RESET'),
      )
      await expect(run.upload.response).rejects.toEqual(code('RESET'))
    },
  )

  test('by closing after the whole body instead of answering is an error', async () => {
    const run = await start(
      (connection) => {
        const look = (): void => {
          if (bodyOf(connection).length === declaredSize(connection)) connection.socket.destroy()
        }
        connection.socket.on('data', look)
        look()
      },
      5,
      { payload },
    )
    await expect(send(run, new Pieces(Buffer.from('hello')))).rejects.toEqual(code('RESET'))
    expect(run.server.connections).toHaveLength(1)
  })

  test('by not being there is an error', async () => {
    const client = backendClient({ endpoint: 'http://127.0.0.1:1', payload })
    closers.push(() => client.close())
    const { signal } = new AbortController()
    const upload = client.upload(objectRequest('PUT', { signal }), size)
    await expect(send({ upload, signal }, new Pieces(Buffer.alloc(size)))).rejects.toEqual(
      code('CONNECT'),
    )
  })
})
