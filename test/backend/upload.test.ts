import { createHash, randomBytes } from 'node:crypto'
import { afterEach, describe, expect, test } from 'vitest'
import type { BackendUpload } from '../../src/backend/client.ts'
import type { BackendOptions } from '../../src/backend/node-client.ts'
import { readBody } from '../../src/backend/read-body.ts'
import { sendBody } from '../../src/ops/upload.ts'
import type { ByteSource } from '../../src/stream/bytes.ts'
import type { Stage } from '../../src/stream/pump.ts'
import { backendClient, objectRequest } from '../support/backend-client.ts'
import { Pieces } from '../support/pieces.ts'
import { bodyOf, headOf, RawServer, type RawConnection } from '../support/raw-server.ts'
import { identityStage } from '../support/identity-stage.ts'

const soon = { timeout: 10_000, interval: 5 }
const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
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
