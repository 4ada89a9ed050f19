import { once } from 'node:events'
import type { Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import type { MessageSource } from '../../src/http/message-source.ts'
import { writeWhole } from '../../src/http/write-whole.ts'
import { closeExchanges, exchange, sinkOf, sourceOf } from '../support/http-exchange.ts'
import { until } from '../support/until.ts'

const idleTimeoutMs = 300

afterEach(closeExchanges)

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
