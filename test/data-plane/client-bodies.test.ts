import { createHash } from 'node:crypto'
import { afterEach, describe, expect, test } from 'vitest'
import { readRequestBody, uploadBody } from '../../src/ops/upload.ts'
import type { OperationHandler } from '../../src/ops/operation.ts'
import { S3Error } from '../../src/s3/errors.ts'
import type { OperationName } from '../../src/s3/operations.ts'
import { answerOn, TestListener, type Limits } from '../support/listener.ts'
import { echoRaw, passOn } from '../support/pass-on.ts'
import { signedHead } from '../support/raw-client.ts'
import { bodyOf, type RawConnection } from '../support/raw-server.ts'
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
  limits: Partial<Limits> = {},
): Promise<TestListener> {
  const listener = await new TestListener(handlers, limits).listen()
  closers.push(() => listener.close())
  return listener
}

async function backend(script: (connection: RawConnection) => void) {
  const passed = await passOn(script)
  closers.push(passed.close)
  return passed
}

const echo: OperationHandler = async (context) => {
  uploadBody(context, 1024 * 1024)
  context.response.send(200, {}, await readRequestBody(context, 1024 * 1024))
}

const refuse: OperationHandler = async () => {
  throw new S3Error('AccessDenied', 'No.')
}

const put = (...lines: string[]): string => signedHead('PUT', '/bucket/k', { lines })
const get = signedHead('GET', '/bucket/k')
const mebibyte = Buffer.alloc(1024 * 1024)

describe('a request body', () => {
  test.each([
    { name: 'with a length', bytes: `${put('content-length: 5')}hello` },
    {
      name: 'in chunks',
      bytes: `${put('transfer-encoding: chunked')}2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nx: y\r\n\r\n`,
    },
  ])('comes as it was sent, $name, and the connection is kept', async ({ bytes }) => {
    const listener = await listen({ PutObject: echoRaw })
    const { answer, client } = await listener.ask(bytes)
    expect(answer).toMatchObject({ status: 200, body: 'hello' })
    const before = client.text.length
    client.socket.write(bytes)
    expect(await answerOn(client, 'PUT', before)).toMatchObject({ status: 200, body: 'hello' })
  })

  test('in HTTP chunks may hold aws-chunks', async () => {
    const listener = await listen({ PutObject: echo })
    const head = signedHead('PUT', '/bucket/k', {
      payloadHash: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
      headers: { 'x-amz-decoded-content-length': '5', 'x-amz-trailer': 'x-amz-checksum-sha256' },
      lines: ['transfer-encoding: chunked'],
    })
    const digest = createHash('sha256').update('hello').digest('base64')
    const body = `5\r\nhello\r\n0\r\nx-amz-checksum-sha256:${digest}\r\n\r\n`
    const { answer } = await listener.ask(
      `${head}${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
    )
    expect(answer).toMatchObject({ status: 200, body: 'hello' })
  })

  test.each([
    { name: 'no length at all', bytes: put(), code: 'MissingContentLength', status: 411 },
    {
      name: 'chunks instead of a length',
      bytes: `${put('transfer-encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`,
      code: 'MissingContentLength',
      status: 411,
    },
    {
      name: 'another hash than signed',
      bytes: `${signedHead('PUT', '/bucket/k', { payloadHash: 'a'.repeat(64), lines: ['content-length: 5'] })}hello`,
      code: 'XAmzContentSHA256Mismatch',
      status: 400,
    },
    {
      name: 'another digest than stated',
      bytes: `${put('content-length: 5', `content-md5: ${Buffer.alloc(16).toString('base64')}`)}hello`,
      code: 'BadDigest',
      status: 400,
    },
  ])('with $name is refused', async ({ bytes, code, status }) => {
    const { server, handler } = await backend(() => undefined)
    const listener = await listen({ PutObject: handler })
    const { answer } = await listener.ask(bytes)
    expect(answer.status).toBe(status)
    expect(answer.body).toContain(`<Code>${code}</Code>`)
    await expect.poll(() => server.openConnections, soon).toBe(0)
    for (const connection of server.connections)
      expect(bodyOf(connection).toString()).not.toBe('hello')
  })

  test('that turns out wrong in its middle is answered while the client still sends', async () => {
    const { server, handler } = await backend(() => undefined)
    const listener = await listen({ PutObject: handler })
    const head = signedHead('PUT', '/bucket/k', {
      payloadHash: 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
      headers: { 'x-amz-decoded-content-length': '5000000' },
      lines: ['content-length: 5100000'],
    })
    const client = await listener.connect()
    client.socket.write(head)
    client.socket.write(`10000;chunk-signature=${'0'.repeat(64)}\r\n`)
    client.socket.write(Buffer.alloc(65_536))
    client.socket.write('\r\n')
    const answer = await answerOn(client, 'PUT')
    expect(answer.status).toBe(403)
    expect(answer.body).toContain('<Code>SignatureDoesNotMatch</Code>')
    expect(client.end).toBeNull()
    await expect.poll(() => server.openConnections, soon).toBe(0)
  })
})

describe('an early refusal', () => {
  test('reaches a client that sends everything before it reads', async () => {
    const listener = await listen({ PutObject: refuse })
    const client = await listener.connect()
    client.socket.pause()
    client.socket.write(put(`content-length: ${mebibyte.length}`))
    client.socket.write(mebibyte.subarray(0, mebibyte.length / 2))
    await until('the request is over', () => listener.requestLines.length === 1)
    client.socket.write(mebibyte.subarray(mebibyte.length / 2))
    client.socket.resume()
    const answer = await answerOn(client, 'PUT')
    expect(answer).toMatchObject({ status: 403, isWhole: true })
    expect(answer.headers.get('connection')).toBe('close')
    await expect.poll(() => client.end, soon).toBe('clean')
  })

  test('ends a connection on which the body never ends', async () => {
    const listener = await listen({ PutObject: refuse })
    const { answer, client } = await listener.ask(put('content-length: 1000000000'))
    expect(answer).toMatchObject({ status: 403, isWhole: true })
    const timer = setInterval(() => client.socket.write(mebibyte), 1)
    await expect.poll(() => client.end, soon).not.toBeNull()
    clearInterval(timer)
  })

  test('keeps the connection if the body is there already', async () => {
    const listener = await listen({
      async PutObject() {
        await new Promise((resolve) => setTimeout(resolve, 20))
        throw new S3Error('AccessDenied', 'No.')
      },
    })
    const bytes = `${put('content-length: 5')}hello`
    const { answer, client } = await listener.ask(bytes)
    expect(answer.headers.get('connection')).toBe('keep-alive')
    const before = client.text.length
    client.socket.write(bytes)
    expect(await answerOn(client, 'PUT', before)).toMatchObject({ status: 403, isWhole: true })
  })

  test('of the backend is what the client gets', async () => {
    const { handler } = await backend(({ socket }) => {
      socket.write(
        'HTTP/1.1 507 Full\r\ncontent-length: 8\r\ncontent-type: text/xml\r\n\r\n<Error/>',
      )
      socket.pause()
    })
    const listener = await listen({ PutObject: handler })
    const client = await listener.connect()
    client.socket.write(put(`content-length: ${64 * mebibyte.length}`))
    client.socket.write(Buffer.alloc(8 * mebibyte.length))
    expect(await answerOn(client, 'PUT')).toMatchObject({ status: 507, body: '<Error/>' })
  })
})

describe('a client that leaves', () => {
  test.each(['end', 'destroy', 'resetAndDestroy'] as const)(
    'in the middle of its body (%s) ends the upload without an end',
    async (leave) => {
      const { server, handler } = await backend(() => undefined)
      const listener = await listen({ PutObject: handler })
      const client = await listener.connect()
      client.socket.write(`${put('content-length: 10')}hello`)
      await until('the backend has the first bytes', () => server.connections.length === 1)
      client.socket[leave]()
      await expect.poll(() => listener.contexts[0]?.signal.aborted, soon).toBe(true)
      expect(listener.contexts[0]?.signal.reason).toMatchObject({ name: 'ClientGoneError' })
      await expect.poll(() => server.openConnections, soon).toBe(0)
      expect(bodyOf(server.connection()).toString()).toBe('hello')
      expect(
        listener.log.lines.filter(({ level }) => level !== 'info' && level !== 'debug'),
      ).toEqual([])
    },
  )

  test('while it waits aborts the operation', async () => {
    const listener = await listen({
      GetObject: ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(new Error('aborted')))
        }),
    })
    const client = await listener.connect()
    client.socket.write(get)
    await until('the operation runs', () => listener.contexts.length === 1)
    client.socket.destroy()
    await expect.poll(() => listener.requestLines.length, soon).toBe(1)
    expect(listener.log.lines.map(({ level }) => level)).toEqual(['debug', 'info'])
  })

  test('in the middle of an answer aborts it', async () => {
    const listener = await listen({
      GetObject: ({ response, signal }) =>
        new Promise((_, reject) => {
          const sink = response.start(200, {})
          sink.write([Buffer.from('hello')])
          signal.addEventListener('abort', () => reject(new Error('aborted')))
        }),
    })
    const client = await listener.connect()
    client.socket.write(get)
    await until('the answer has begun', () => client.text.includes('hello'))
    client.socket.destroy()
    await expect.poll(() => listener.requestLines.length, soon).toBe(1)
  })

  test('aborts what it asked, and nothing that waits behind is begun', async () => {
    const listener = await listen({
      GetObject: ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(new Error('aborted')))
        }),
    })
    const client = await listener.connect()
    client.socket.write(get + get)
    await until('the first operation runs', () => listener.contexts.length === 1)
    client.socket.destroy()
    await expect.poll(() => listener.requestLines.length, soon).toBe(2)
    expect(listener.contexts).toHaveLength(1)
  })
})

test('a body moves on no faster than it is taken', async () => {
  const size = 64 * mebibyte.length
  const { server, handler } = await backend(({ socket }) => socket.pause())
  const listener = await listen({ PutObject: handler })
  const client = await listener.connect()
  client.socket.write(put(`content-length: ${size}`))
  client.socket.write(Buffer.alloc(size))
  await until('the backend has a connection', () => server.connections.length === 1)
  await new Promise((resolve) => setTimeout(resolve, 200))
  expect(client.socket.writableLength).toBeGreaterThan(size / 2)
})
