import { once } from 'node:events'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import net, { type AddressInfo, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { MessageSource } from '../../src/http/message-source.ts'
import { WritableSink } from '../../src/http/writable-sink.ts'
import { writeWhole } from '../../src/http/write-whole.ts'
import { identityStage, pump, type Stage } from '../../src/stream/pump.ts'
import { until } from '../support/until.ts'

const idleTimeoutMs = 300
const forever = 60_000
const never = new AbortController().signal
const closers: (() => void)[] = []

afterEach(() => {
  for (const close of closers.splice(0)) close()
})

/** A connection on which one request has arrived: the client's raw socket and node's two messages. */
async function exchange(head = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n'): Promise<{
  client: Socket
  request: IncomingMessage
  response: ServerResponse
}> {
  const server = http.createServer()
  server.on('clientError', (_, socket) => socket.destroy())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const client = net.connect(port, '127.0.0.1')
  client.on('error', () => undefined)
  closers.push(() => {
    client.destroy()
    server.close()
    server.closeAllConnections()
  })
  const arrived = new Promise<{ request: IncomingMessage; response: ServerResponse }>((resolve) => {
    server.once('request', (request: IncomingMessage, response: ServerResponse) =>
      resolve({ request, response }),
    )
  })
  client.write(head)
  return { client, ...(await arrived) }
}

function broken(what: 'cut' | 'stalled'): Error {
  return new Error(what)
}

function sourceOf(message: IncomingMessage, timeoutMs = forever): MessageSource {
  return new MessageSource(message, {
    idleTimeoutMs: timeoutMs,
    broken,
    giveUp: (_, reason) => message.destroy(reason),
  })
}

function sinkOf(
  message: ServerResponse,
  options: { timeoutMs?: number; size?: number } = {},
): WritableSink {
  const { timeoutMs = forever, size = null } = options
  return new WritableSink(message, {
    idleTimeoutMs: timeoutMs,
    size,
    broken,
    giveUp: (reason) => message.destroy(reason),
  })
}

/** Collects what a source delivers until it is over. */
function collect(source: MessageSource): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = []
    source.deliver({
      chunk: (bytes) => pieces.push(Buffer.from(bytes)),
      end: () => resolve(Buffer.concat(pieces)),
      error: reject,
    })
  })
}

const put = (length: number): string =>
  `PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: ${length}\r\n\r\n`
const putChunked = 'PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n'

describe('message source', () => {
  test.each([
    { name: 'with a length', head: `${put(5)}hello`, body: 'hello' },
    { name: 'in chunks', head: `${putChunked}3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n`, body: 'hello' },
    { name: 'that is empty', head: put(0), body: '' },
  ])('delivers a body $name', async ({ head, body }) => {
    const { request } = await exchange(head)
    expect((await collect(sourceOf(request))).toString()).toBe(body)
  })

  test.each([
    { name: 'with a length', head: `${put(6)}hello` },
    { name: 'in chunks', head: `${putChunked}5\r\nhello\r\n` },
    { name: 'in chunks without the final line end', head: `${putChunked}5\r\nhello\r\n0\r\n` },
  ])('never ends a body $name that was cut', async ({ head }) => {
    for (const cut of ['end', 'destroy', 'resetAndDestroy'] as const) {
      // oxlint-disable-next-line no-await-in-loop -- one connection after the other
      const { client, request } = await exchange(head)
      const body = collect(sourceOf(request))
      client[cut]()
      // oxlint-disable-next-line no-await-in-loop -- one connection after the other
      await expect(body).rejects.toThrow('cut')
    }
  })

  test('reports a cut that came before delivery', async () => {
    const { client, request } = await exchange(put(10))
    const source = sourceOf(request)
    client.destroy()
    await until('the request is destroyed', () => request.destroyed)
    await expect(collect(source)).rejects.toThrow('cut')
  })

  test('reports a message that was destroyed before there was a source', async () => {
    const { request } = await exchange(put(10))
    request.destroy()
    await until('the request is closed', () => request.closed)
    await expect(collect(sourceOf(request))).rejects.toThrow('cut')
  })

  test('breaks when nothing comes', async () => {
    const { client, request } = await exchange(`${put(10)}hello`)
    const closed = once(client, 'close')
    await expect(collect(sourceOf(request, idleTimeoutMs))).rejects.toThrow('stalled')
    await closed
  })

  test("doesn't count the time while it is paused", async () => {
    const { client, request } = await exchange(`${put(10)}hello`)
    const source = sourceOf(request, idleTimeoutMs)
    const body = collect(source)
    source.pause()
    await new Promise((resolve) => setTimeout(resolve, 2 * idleTimeoutMs))
    source.resume()
    client.write('world')
    expect((await body).toString()).toBe('helloworld')
  })

  test('lets a failure from outside wait for its receiver', async () => {
    const { request } = await exchange(put(10))
    const source = sourceOf(request)
    source.fail(new Error('outside'))
    source.fail(new Error('again'))
    await expect(collect(source)).rejects.toThrow('outside')
  })

  test('says nothing after it was aborted', async () => {
    const { client, request } = await exchange(`${put(10)}hello`)
    const source = sourceOf(request, idleTimeoutMs)
    const heard: string[] = []
    source.deliver({
      chunk: () => undefined,
      end: () => heard.push('end'),
      error: () => heard.push('error'),
    })
    source.abort(new Error('enough'))
    source.fail(new Error('outside'))
    source.resume()
    await once(client, 'close')
    await new Promise((resolve) => setTimeout(resolve, idleTimeoutMs))
    expect(heard).toEqual([])
  })
})

describe('writable sink', () => {
  async function answerTo(client: Socket): Promise<string> {
    const pieces: Buffer[] = []
    client.on('data', (bytes: Buffer) => pieces.push(bytes))
    await once(client, 'close')
    return Buffer.concat(pieces).toString()
  }

  test('never ends a body that is too short for its size', async () => {
    const { client, response } = await exchange()
    response.writeHead(200, { 'content-length': '5' })
    const sink = sinkOf(response, { size: 5 })
    sink.write([Buffer.from('hell')])
    expect(() => sink.end()).toThrow(RangeError)
    sink.destroy(new Error('short'))
    expect(await answerTo(client)).not.toContain('hello')
  })

  test('keeps the last bytes of its size until the end', async () => {
    const { client, response } = await exchange()
    response.writeHead(200, { 'content-length': '5' })
    const sink = sinkOf(response, { size: 5 })
    sink.write([Buffer.from('hel'), Buffer.from('lo'), Buffer.alloc(0)])
    sink.write([])
    await once(client, 'readable')
    sink.destroy(new Error('bad end'))
    const text = await answerTo(client)
    expect(text).toMatch(/\r\n\r\nhel$/)
  })

  test('refuses bytes beyond its size', async () => {
    const { response } = await exchange()
    const sink = sinkOf(response, { size: 5 })
    sink.write([Buffer.from('hello')])
    expect(() => sink.write([Buffer.from('!')])).toThrow(RangeError)
  })

  test('never ends a chunked body that is destroyed', async () => {
    const { client, response } = await exchange()
    const sink = sinkOf(response)
    sink.write([Buffer.from('hel'), Buffer.from('lo')])
    await once(client, 'readable')
    sink.destroy(new Error('bad'))
    const text = await answerTo(client)
    expect(text).toContain('hel')
    expect(text).not.toContain('\r\n0\r\n')
  })

  test('tells once that the other side is gone, even who asks late', async () => {
    const { client, response } = await exchange()
    const sink = sinkOf(response)
    client.destroy()
    await until('the response is destroyed', () => response.destroyed)
    const reasons: string[] = []
    sink.onError((reason) => reasons.push(reason.message))
    sink.refuse(new Error('refused'))
    expect(reasons).toEqual(['cut'])
    expect(sink.write([Buffer.from('a')])).toBeTypeOf('boolean')
  })

  test('leaves the message alone that was refused', async () => {
    const { response } = await exchange()
    const sink = sinkOf(response)
    const reasons: string[] = []
    sink.onError((reason) => reasons.push(reason.message))
    sink.refuse(new Error('refused'))
    sink.destroy(new Error('refused'))
    expect(reasons).toEqual(['refused'])
    expect(response.destroyed).toBe(false)
    expect(response.writableEnded).toBe(false)
  })

  test('breaks when the other side takes nothing', async () => {
    const { client, response } = await exchange()
    client.pause()
    const sink = sinkOf(response, { timeoutMs: idleTimeoutMs })
    const failed = new Promise<Error>((resolve) => sink.onError(resolve))
    expect(sink.write([Buffer.alloc(32 * 1024 * 1024)])).toBe(false)
    expect((await failed).message).toBe('stalled')
    expect(response.destroyed).toBe(true)
  })

  test('breaks when the other side never takes the last bytes', async () => {
    const { client, response } = await exchange()
    client.pause()
    const sink = sinkOf(response, { timeoutMs: idleTimeoutMs })
    sink.write([Buffer.alloc(32 * 1024 * 1024)])
    sink.end()
    await once(response, 'close')
    expect(response.writableFinished).toBe(false)
  })

  test('writes a whole body piece by piece to a slow reader', async () => {
    const { client, response } = await exchange()
    const body = Buffer.alloc(8 * 1024 * 1024, 'x')
    response.writeHead(200, { 'content-length': String(body.length), connection: 'close' })
    client.pause()
    const sink = sinkOf(response, { size: body.length })
    let ends = 0
    writeWhole(sink, body, () => {
      ends += 1
      sink.end()
    })
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(ends).toBe(0)
    expect(response.writableLength).toBeLessThan(1024 * 1024)
    const text = await answerTo(client.resume())
    expect(text.slice(text.indexOf('\r\n\r\n') + 4).length).toBe(body.length)
    expect(ends).toBe(1)
  })
})

describe('pump between connections', () => {
  /** Two connections, joined by a pump: what the uploader sends, the downloader gets. */
  async function joined(options: {
    size: number
    stage?: Stage
    signal?: AbortSignal
    timeoutMs?: number
  }) {
    const up = await exchange(put(options.size))
    const down = await exchange()
    down.response.writeHead(200, { 'content-length': String(options.size), connection: 'close' })
    const { timeoutMs = forever } = options
    const sink = sinkOf(down.response, { size: options.size, timeoutMs })
    const done = pump(sourceOf(up.request, timeoutMs), sink, options.stage ?? identityStage, {
      signal: options.signal ?? never,
    })
    done.catch(() => undefined)
    const got = { size: 0, isClosed: false }
    down.client.once('data', (head: Buffer) => {
      got.size -= head.indexOf('\r\n\r\n') + 4
    })
    down.client.on('data', (bytes: Buffer) => {
      got.size += bytes.length
    })
    down.client.on('close', () => {
      got.isClosed = true
    })
    return { uploader: up.client, downloader: down.client, ...up, down, done, got }
  }

  const size = 32 * 1024 * 1024

  test('keeps little in memory while the reader is slow, and delivers everything', async () => {
    const { uploader, downloader, down, done, got } = await joined({ size })
    downloader.pause()
    uploader.write(Buffer.alloc(size))
    let most = 0
    for (let i = 0; i < 20; i += 1) {
      // oxlint-disable-next-line no-await-in-loop -- watches over time
      await new Promise((resolve) => setTimeout(resolve, 10))
      most = Math.max(most, down.response.writableLength)
    }
    expect(most).toBeLessThan(1024 * 1024)
    downloader.resume()
    await done
    await until('everything is there', () => got.isClosed)
    expect(got.size).toBe(size)
  })

  const failures: readonly {
    name: string
    message: string | RegExp
    timeoutMs?: number
    stage?: Stage
    act: (run: Awaited<ReturnType<typeof joined>> & { abort: AbortController }) => void
  }[] = [
    {
      name: 'the uploader is gone',
      message: 'cut',
      act: ({ uploader }) => uploader.destroy(),
    },
    {
      name: 'the uploader stalls',
      message: 'stalled',
      timeoutMs: idleTimeoutMs,
      act: () => undefined,
    },
    {
      name: 'the downloader is gone',
      message: 'cut',
      act({ uploader, downloader }) {
        downloader.destroy()
        uploader.write(Buffer.alloc(1024 * 1024))
      },
    },
    {
      name: 'the downloader stalls',
      message: 'stalled',
      timeoutMs: idleTimeoutMs,
      act({ uploader, downloader }) {
        downloader.pause()
        uploader.write(Buffer.alloc(size - 5))
        setTimeout(() => downloader.resume(), 3 * idleTimeoutMs)
      },
    },
    {
      name: 'the stage fails at the end',
      message: 'bad end',
      stage: {
        ...identityStage,
        finish() {
          throw new Error('bad end')
        },
      },
      act: ({ uploader }) => uploader.write(Buffer.alloc(size - 5)),
    },
    {
      name: 'the stage loses the last byte',
      message: 'shorter',
      stage: {
        push: (bytes, out) => out.push(Buffer.from(bytes.subarray(1))),
        finish() {},
      },
      act: ({ uploader }) => uploader.write(Buffer.alloc(size - 5)),
    },
    {
      name: 'the signal aborts',
      message: 'given up',
      act: ({ abort }) => abort.abort(new Error('given up')),
    },
  ]

  test.each(failures)(
    'never ends the body when $name',
    async ({ message, act, stage, timeoutMs }) => {
      const abort = new AbortController()
      const run = await joined({
        size,
        signal: abort.signal,
        ...(stage && { stage }),
        ...(timeoutMs !== undefined && { timeoutMs }),
      })
      run.uploader.write('first')
      await until('the first bytes are there', () => run.got.size > 0)
      act({ ...run, abort })
      await expect(run.done).rejects.toThrow(message)
      await until('the download is over', () => run.got.isClosed || run.downloader.isPaused())
      expect(run.got.size).toBeLessThan(size)
      await until(
        'both messages are destroyed',
        () => run.down.response.destroyed && run.request.destroyed,
      )
    },
  )
})
