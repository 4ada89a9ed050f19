import { createHash, randomBytes } from 'node:crypto'
import { afterEach, describe, expect, test } from 'vitest'
import type { BackendError, BackendUpload } from '../../src/backend/client.ts'
import type { BackendOptions } from '../../src/backend/node-client.ts'
import { readBody } from '../../src/backend/read-body.ts'
import { BackendFailure } from '../../src/ops/backend-call.ts'
import { sendBody } from '../../src/ops/upload.ts'
import type { ByteReceiver, ByteSource } from '../../src/stream/bytes.ts'
import { identityStage, type Stage } from '../../src/stream/pump.ts'
import { backendClient, objectRequest } from '../support/backend-client.ts'
import { bodyOf, headOf, RawServer, type RawConnection } from '../support/raw-server.ts'

const soon = { timeout: 10_000, interval: 5 }
const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
const denied =
  'HTTP/1.1 403 Forbidden\r\ncontent-type: application/xml\r\ncontent-length: 40\r\n\r\n' +
  '<Error><Code>AccessDenied</Code></Error>'
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

/** A source that gives pieces of 64 KiB as fast as they are taken, then ends as it is told to. */
class Pieces implements ByteSource {
  readonly #bytes: Buffer
  readonly #last: 'end' | 'stall' | Error
  #offset = 0
  #isPaused = false
  #receiver: ByteReceiver | null = null
  abortReason: Error | null = null

  constructor(bytes: Buffer, last: 'end' | 'stall' | Error = 'end') {
    this.#bytes = bytes
    this.#last = last
  }

  deliver(receiver: ByteReceiver): void {
    this.#receiver = receiver
    setImmediate(() => this.#give())
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    setImmediate(() => this.#give())
  }

  abort(reason: Error): void {
    this.abortReason = reason
    this.#receiver = null
  }

  #give(): void {
    if (this.#isPaused || !this.#receiver) return
    const piece = this.#bytes.subarray(this.#offset, this.#offset + 65_536)
    this.#offset += piece.length
    if (piece.length > 0) {
      this.#receiver.chunk(piece)
      setImmediate(() => this.#give())
    } else if (this.#last instanceof Error) this.#receiver.error(this.#last)
    else if (this.#last === 'end') this.#receiver.end()
  }
}

function send(
  { upload, signal }: { upload: BackendUpload; signal: AbortSignal },
  source: ByteSource,
  stage: Stage = identityStage,
) {
  return sendBody({ signal }, upload, { source, stage })
}

/** Answers once the whole declared body is there. */
function accepting(connection: RawConnection): void {
  const size = Number(/content-length: (\d+)/i.exec(headOf(connection))?.[1])
  const look = (): void => {
    if (bodyOf(connection).length === size) connection.socket.write(ok)
  }
  connection.socket.on('data', look)
  look()
}

function declaredSize(connection: RawConnection): number {
  return Number(/content-length: (\d+)/i.exec(headOf(connection))?.[1])
}

function code(expected: BackendError['code']): object {
  return expect.objectContaining({ name: 'BackendError', code: expected }) as object
}

/** Chunks of `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`, without a look at their signatures. */
function decodeChunks(body: Buffer): { data: Buffer; sizes: number[] } {
  const pieces: Buffer[] = []
  const sizes: number[] = []
  for (let offset = 0; offset < body.length;) {
    const end = body.indexOf('\r\n', offset)
    const head = /^([0-9a-f]+);chunk-signature=[0-9a-f]{64}$/.exec(
      body.toString('latin1', offset, end),
    )
    if (!head?.[1]) throw new Error(`no chunk at ${offset}`)
    const size = Number.parseInt(head[1], 16)
    sizes.push(size)
    pieces.push(body.subarray(end + 2, end + 2 + size))
    offset = end + 2 + size + 2
  }
  return { data: Buffer.concat(pieces), sizes }
}

const sizes = [1, 65_535, 65_536, 262_144, 262_145, 3_000_000]
const payloads = ['unsigned', 'signed-chunks'] as const

describe('upload', () => {
  test.each(sizes)('sends %i bytes unsigned as they are', async (size) => {
    const bytes = randomBytes(size)
    const run = await start(accepting, size)
    const response = await send(run, new Pieces(bytes))
    expect((await readBody(response, 10)).toString()).toBe('ok')
    const connection = run.server.connection()
    expect(declaredSize(connection)).toBe(size)
    expect(headOf(connection)).toMatch(/x-amz-content-sha256: UNSIGNED-PAYLOAD/i)
    expect(headOf(connection)).not.toMatch(/transfer-encoding|expect:/i)
    expect(bodyOf(connection).equals(bytes)).toBe(true)
  })

  test.each(sizes)('sends %i bytes in signed chunks', async (size) => {
    const bytes = randomBytes(size)
    const run = await start(accepting, size, { payload: 'signed-chunks' })
    const response = await send(run, new Pieces(bytes))
    expect((await readBody(response, 10)).toString()).toBe('ok')
    const connection = run.server.connection()
    expect(headOf(connection)).toMatch(
      new RegExp(`x-amz-decoded-content-length: ${size}\\r\\n`, 'i'),
    )
    expect(headOf(connection)).toMatch(
      /x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD\r\n/i,
    )
    expect(bodyOf(connection).length).toBe(declaredSize(connection))
    const decoded = decodeChunks(bodyOf(connection))
    expect(decoded.data.equals(bytes)).toBe(true)
    expect(decoded.sizes.at(-1)).toBe(0)
    // S3 wants every chunk but the last two to have 8 KiB or more.
    expect(Math.min(262_144, ...decoded.sizes.slice(0, -2))).toBe(262_144)
  })

  test('uses its connection again', async () => {
    const run = await start(accepting, 5)
    await readBody(await send(run, new Pieces(Buffer.from('hello'))), 10)
    expect(run.server.connections).toHaveLength(1)
    run.server.connection().socket.once('data', () => run.server.connection().socket.write(ok))
    await readBody(await run.client.send(objectRequest('POST')), 10)
    expect(run.server.connections).toHaveLength(1)
  })
})

const failures: readonly {
  name: string
  message: string
  source: (bytes: Buffer) => ByteSource
  stage?: Stage
}[] = [
  {
    name: 'the source breaks at the very end',
    message: 'client gone',
    source: (bytes) => new Pieces(bytes, new Error('client gone')),
  },
  {
    name: 'the source breaks before any byte',
    message: 'client gone',
    source: () => new Pieces(Buffer.alloc(0), new Error('client gone')),
  },
  {
    name: 'the source ends early',
    message: 'shorter',
    source: (bytes) => new Pieces(bytes.subarray(1)),
  },
  {
    name: 'the source goes on too long',
    message: 'longer',
    source: (bytes) => new Pieces(Buffer.concat([bytes, bytes.subarray(0, 1)])),
  },
  {
    name: 'the stage refuses the end',
    message: 'bad digest',
    source: (bytes) => new Pieces(bytes),
    stage: {
      ...identityStage,
      finish() {
        throw new Error('bad digest')
      },
    },
  },
]

describe.each(payloads)('an upload with payload %s is never complete', (payload) => {
  test.each(failures)('when $name', async ({ message, source, stage = identityStage }) => {
    const size = 1_000_000
    const run = await start(() => undefined, size, { payload })
    await expect(send(run, source(randomBytes(size)), stage)).rejects.toThrow(message)
    await expect(run.upload.response).rejects.toBeInstanceOf(Error)
    await expect.poll(() => run.server.openConnections, soon).toBe(0)
    const got = run.server.connections[0]
    const total = got && got.received.length > 0 ? declaredSize(got) : size
    expect(got ? bodyOf(got).length : 0).toBeLessThan(total)
  })

  test('when the signal aborts', async () => {
    const abort = new AbortController()
    const size = 1_000_000
    const run = await start(() => abort.abort(new Error('gone')), size, {
      payload,
      signal: abort.signal,
    })
    const source = new Pieces(randomBytes(size - 1), 'stall')
    await expect(send(run, source)).rejects.toThrow('gone')
    expect(source.abortReason).not.toBeNull()
    await expect.poll(() => run.server.openConnections, soon).toBe(0)
    expect(bodyOf(run.server.connection()).length).toBeLessThan(
      declaredSize(run.server.connection()),
    )
  })
})

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

test('the bytes on the wire are those that were given, however they are cut', async () => {
  const bytes = randomBytes(1_000_003)
  const run = await start(accepting, bytes.length, { payload: 'signed-chunks' })
  const stage: Stage = {
    push(piece, out) {
      const copy = Buffer.from(piece)
      out.push(copy.subarray(0, 1), Buffer.alloc(0), copy.subarray(1))
    },
    finish() {},
  }
  await readBody(await send(run, new Pieces(bytes), stage), 10)
  const { data } = decodeChunks(bodyOf(run.server.connection()))
  const sha256 = (buffer: Buffer): string => createHash('sha256').update(buffer).digest('hex')
  expect(sha256(data)).toBe(sha256(bytes))
})
