import { afterEach, describe, expect, test } from 'vitest'
import type { OperationHandler } from '../../src/ops/operation.ts'
import type { OperationName } from '../../src/s3/operations.ts'
import { answerOn, TestListener } from '../support/listener.ts'
import { echoRaw, passOn } from '../support/pass-on.ts'
import { signedHead } from '../support/raw-client.ts'
import { bodyOf } from '../support/raw-server.ts'
import { until } from '../support/until.ts'

const soon = { timeout: 10_000, interval: 5 }
const closers: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) {
    // oxlint-disable-next-line no-await-in-loop -- the listener goes before its backend
    await close()
  }
})

async function listen(
  handlers: Partial<Record<OperationName, OperationHandler>>,
): Promise<TestListener> {
  const listener = await new TestListener(handlers).listen()
  closers.push(() => listener.close())
  return listener
}

const put = (...lines: string[]): string => signedHead('PUT', '/bucket/k', { lines })
const get = signedHead('GET', '/bucket/k')

describe('malformed HTTP', () => {
  const chunked = put('transfer-encoding: chunked')

  test.each([
    {
      name: 'length and chunks',
      bytes: `${put('content-length: 5', 'transfer-encoding: chunked')}0\r\n\r\n`,
    },
    {
      name: 'chunks and length',
      bytes: `${put('transfer-encoding: chunked', 'content-length: 5')}0\r\n\r\n`,
    },
    { name: 'two lengths', bytes: `${put('content-length: 5', 'content-length: 6')}hello` },
    {
      name: 'the same length twice',
      bytes: `${put('content-length: 5', 'content-length: 5')}hello`,
    },
    { name: 'a list of lengths', bytes: `${put('content-length: 5, 5')}hello` },
    { name: 'a signed length', bytes: `${put('content-length: +5')}hello` },
    { name: 'a negative length', bytes: `${put('content-length: -5')}hello` },
    { name: 'a hexadecimal length', bytes: `${put('content-length: 0x5')}hello` },
    {
      name: 'a length beyond 64 bits',
      bytes: `${put('content-length: 99999999999999999999')}hello`,
    },
    {
      name: 'chunks in another coding',
      bytes: `${put('transfer-encoding: chunked, gzip')}0\r\n\r\n`,
    },
    { name: 'chunks twice', bytes: `${put('transfer-encoding: chunked, chunked')}0\r\n\r\n` },
    { name: 'an unknown coding', bytes: `${put('transfer-encoding: xchunked')}0\r\n\r\n` },
    { name: 'a line end within a header', bytes: `${put('x: a\ncontent-length: 5')}hello` },
    { name: 'bare line feeds', bytes: get.replaceAll('\r\n', '\n') },
    { name: 'a bare carriage return', bytes: put('x: a\rb') },
    { name: 'a space before the colon', bytes: put('content-length : 0') },
    { name: 'a folded header', bytes: put('x: a\r\n b: c') },
    { name: 'a zero byte', bytes: put('x: a\0b') },
    { name: 'no host', bytes: 'GET / HTTP/1.1\r\n\r\n' },
    { name: 'another protocol', bytes: 'GET / HTTQ/1.1\r\nhost: a\r\n\r\n' },
    { name: 'no HTTP', bytes: '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' },
    { name: 'a chunk size that is none', bytes: `${chunked}zz\r\nhello\r\n0\r\n\r\n` },
    { name: 'a negative chunk size', bytes: `${chunked}-5\r\nhello\r\n0\r\n\r\n` },
    { name: 'a chunk size with a prefix', bytes: `${chunked}0x5\r\nhello\r\n0\r\n\r\n` },
    { name: 'a chunk size beyond 64 bits', bytes: `${chunked}fffffffffffffffff\r\nhello\r\n` },
    { name: 'a chunk longer than its size', bytes: `${chunked}4\r\nhello\r\n0\r\n\r\n` },
    { name: 'a chunk ended by a line feed', bytes: `${chunked}5\nhello\n0\n\n` },
  ])('with $name is answered with 400 and closes', async ({ bytes }) => {
    const listener = await listen({ PutObject: echoRaw, GetObject: echoRaw })
    const { answer, client } = await listener.ask(bytes)
    expect(answer.status).toBe(400)
    expect(answer.headers.get('connection')).toBe('close')
    expect(answer.rest).toBe('')
    // What follows is never taken for another request.
    client.socket.write(get)
    await expect.poll(() => client.end, soon).not.toBeNull()
    expect(client.text.match(/HTTP\/1\.1 /g)).toHaveLength(1)
    expect(listener.contexts.length).toBeLessThan(2)
  })

  test('in a body ends the upload without an end', async () => {
    const { server, handler, close } = await passOn(() => undefined)
    closers.push(close)
    const listener = await listen({ PutObject: handler })
    const head = signedHead('PUT', '/bucket/k', {
      payloadHash: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
      headers: { 'x-amz-decoded-content-length': '50', 'x-amz-trailer': 'x-amz-checksum-crc32' },
      lines: ['transfer-encoding: chunked'],
    })
    const client = await listener.connect()
    client.socket.write(`${head}8\r\n32\r\nhell\r\n`)
    await until('the backend has the first bytes', () => server.connections.length === 1)
    client.socket.write('nonsense\r\n')
    const answer = await answerOn(client, 'PUT')
    expect(answer.status).toBe(400)
    expect(answer.body).toContain('<Code>BadRequest</Code>')
    await expect.poll(() => server.openConnections, soon).toBe(0)
    expect(bodyOf(server.connection()).toString()).toBe('hell')
  })

  test('behind a request never gets into its answer', async () => {
    const gate = Promise.withResolvers<void>()
    const listener = await listen({
      GetObject: async ({ response }) => {
        const sink = response.start(200, { 'content-length': '1000' })
        sink.write([Buffer.from('hello')])
        await gate.promise
        sink.write([Buffer.alloc(995)])
        sink.end()
      },
    })
    const client = await listener.connect()
    client.socket.write(get)
    await until('the answer has begun', () => client.text.includes('hello'))
    client.socket.write('nonsense\r\n\r\n')
    await expect.poll(() => client.end, soon).not.toBeNull()
    gate.resolve()
    expect(client.text).toMatch(/\r\n\r\nhello$/)
  })

  test('with too large a head is answered with RequestHeaderSectionTooLarge', async () => {
    const listener = await listen({ GetObject: echoRaw })
    const { answer, client } = await listener.ask(
      signedHead('GET', '/bucket/k', { lines: [`x: ${'a'.repeat(1024 * 1024)}`] }),
    )
    expect(answer.status).toBe(400)
    expect(answer.headers.get('content-type')).toBe('application/xml')
    expect(answer.body).toContain('<Code>RequestHeaderSectionTooLarge</Code>')
    await expect.poll(() => client.end, soon).toBe('clean')
    expect(listener.contexts).toEqual([])
  })
})
