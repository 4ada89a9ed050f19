import { afterEach, describe, expect, test } from 'vitest'
import { BackendError } from '../../src/backend/client.ts'
import { BackendFailure } from '../../src/ops/backend-call.ts'
import type { OperationHandler } from '../../src/ops/operation.ts'
import { readRequestBody, uploadBody } from '../../src/ops/upload.ts'
import { S3Error } from '../../src/s3/errors.ts'
import type { OperationName } from '../../src/s3/operations.ts'
import { answerOn, TestListener, type Limits } from '../support/listener.ts'
import { signedHead } from '../support/raw-client.ts'
import { until } from '../support/until.ts'

const soon = { timeout: 10_000, interval: 5 }
const open: TestListener[] = []

afterEach(async () => {
  await Promise.all(open.splice(0).map((listener) => listener.close()))
})

async function listen(
  handlers: Partial<Record<OperationName, OperationHandler>>,
  limits: Partial<Limits> = {},
): Promise<TestListener> {
  const listener = await new TestListener(handlers, limits).listen()
  open.push(listener)
  return listener
}

/** Reads the whole body, checked as an upload is, and answers with it. */
const echo: OperationHandler = async (context) => {
  uploadBody(context, 1024 * 1024)
  context.response.send(200, {}, await readRequestBody(context, 1024 * 1024))
}

function failing(error: Error): OperationHandler {
  return async () => {
    throw error
  }
}

const get = signedHead('GET', '/bucket/k')
const putHead = (length: number, lines: string[] = []): string =>
  signedHead('PUT', '/bucket/k', { lines: [`content-length: ${length}`, ...lines] })

describe('answers', () => {
  test('carry a request id, and the length of their body', async () => {
    const listener = await listen({
      GetObject: async ({ response }) => response.send(200, { 'x-a': 'ä' }, 'hello'),
    })
    const { answer } = await listener.ask(get)
    expect(answer).toMatchObject({ status: 200, body: 'hello', rest: '' })
    expect(answer.headers.get('content-length')).toBe('5')
    expect(answer.headers.get('x-amz-request-id')).toBe(listener.contexts[0]?.requestId)
    expect(answer.headers.get('x-a')).toBe('ä')
    expect(answer.headers.get('connection')).toBe('keep-alive')
  })

  test('have no body for HEAD, but its length', async () => {
    const listener = await listen({
      HeadObject: async ({ response }) => response.send(200, { 'content-length': '12345' }),
      HeadBucket: failing(new S3Error('NoSuchBucket', 'No such bucket.')),
    })
    const { answer, client } = await listener.ask(signedHead('HEAD', '/bucket/k'))
    expect(answer).toMatchObject({ status: 200, rest: '' })
    expect(answer.headers.get('content-length')).toBe('12345')
    const before = client.text.length
    client.socket.write(signedHead('HEAD', '/bucket'))
    const refused = await answerOn(client, 'HEAD', before)
    expect(refused).toMatchObject({ status: 404, rest: '' })
    expect(refused.headers.get('content-type')).toBe('application/xml')
  })

  test.each([204, 304])('have neither body nor length with status %i', async (status) => {
    const listener = await listen({
      GetObject: async ({ response }) => response.send(status, {}, 'must not be seen'),
    })
    const { answer } = await listener.ask(get)
    expect(answer).toMatchObject({ status, rest: '' })
    expect(answer.headers.has('content-length')).toBe(false)
  })

  test.each([
    { name: 'with a length', headers: { 'content-length': '5' } },
    { name: 'in chunks', headers: {} },
  ])('are streamed $name', async ({ headers }) => {
    const listener = await listen({
      GetObject: async ({ response }) => {
        const sink = response.start(200, headers)
        sink.write([Buffer.from('he')])
        sink.write([Buffer.from('l'), Buffer.from('lo')])
        sink.end()
      },
    })
    const { answer, client } = await listener.ask(get)
    expect(answer).toMatchObject({ status: 200, body: 'hello', isWhole: true, rest: '' })
    expect(client.end).toBeNull()
  })

  test('that are large reach a slow reader whole', async () => {
    const body = 'x'.repeat(8 * 1024 * 1024)
    const listener = await listen({
      GetObject: async ({ response }) => response.send(200, {}, body),
    })
    const client = await listener.connect()
    client.socket.pause()
    client.socket.write(get)
    await until('the operation is over', () => listener.requestLines.length === 1)
    client.socket.resume()
    const answer = await answerOn(client)
    expect(answer.body.length).toBe(body.length)
  })

  test.each([
    { name: 'sent', start: false },
    { name: 'streamed', start: true },
  ])('that are $name to a client that takes nothing are given up', async ({ start }) => {
    const body = Buffer.alloc(32 * 1024 * 1024)
    const listener = await listen(
      {
        GetObject: async ({ response }) => {
          if (!start) {
            response.send(200, {}, body)
            return
          }
          const sink = response.start(200, {})
          sink.write([body])
          sink.end()
        },
      },
      { idleTimeoutMs: 200 },
    )
    const client = await listener.connect()
    client.socket.pause()
    client.socket.write(get)
    await expect.poll(() => listener.contexts[0]?.signal.aborted, soon).toBe(true)
    client.socket.resume()
    await expect.poll(() => client.end, soon).not.toBeNull()
    expect(client.size).toBeLessThan(body.length)
  })
})

describe('a failing operation', () => {
  test('is answered with an error document, and the connection is kept', async () => {
    const listener = await listen({
      GetObject: failing(new S3Error('NoSuchKey', 'No such <key>.', { fields: { Key: 'k&' } })),
    })
    const { answer, client } = await listener.ask(get)
    expect(answer.status).toBe(404)
    expect(answer.headers.get('content-type')).toBe('application/xml')
    expect(answer.body).toBe(
      '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code>' +
        '<Message>No such &lt;key&gt;.</Message><Key>k&amp;</Key><Resource>/bucket/k</Resource>' +
        `<RequestId>${listener.contexts[0]?.requestId ?? ''}</RequestId></Error>`,
    )
    client.socket.write(get)
    const second = await answerOn(client, 'GET', client.text.length)
    expect(second.status).toBe(404)
  })

  test("passes the backend's refusal on as it came", async () => {
    const response = {
      status: 412,
      headers: { 'content-type': 'text/xml', 'x-amz-version-id': '7' },
      body: Buffer.from('<Error><Code>PreconditionFailed</Code></Error>'),
    }
    const listener = await listen({ GetObject: failing(new BackendFailure(response)) })
    const { answer } = await listener.ask(get)
    expect(answer).toMatchObject({ status: 412, body: response.body.toString() })
    expect(answer.headers.get('x-amz-version-id')).toBe('7')
  })

  test('tells when to try again', async () => {
    const listener = await listen({ GetObject: failing(new BackendError('CONNECT', 'down')) })
    const { answer } = await listener.ask(get)
    expect(answer.status).toBe(503)
    expect(answer.headers.get('retry-after')).toBe('5')
    expect(answer.body).not.toContain('down')
  })

  test('that ends without an answer is an internal error', async () => {
    const listener = await listen({ GetObject: async () => undefined })
    const { answer } = await listener.ask(get)
    expect(answer.status).toBe(500)
    expect(answer.body).toContain('<Code>InternalError</Code>')
    expect(listener.log.lines.map(({ level }) => level)).toContain('error')
  })

  const late: readonly { name: string; headers: Record<string, string>; body: string }[] = [
    { name: 'with a length', headers: { 'content-length': '5' }, body: 'hell' },
    { name: 'in chunks', headers: {}, body: 'hello' },
  ]

  test.each(late)('after the answer has begun ($name) breaks the connection', async (answered) => {
    const listener = await listen({
      GetObject: async ({ response }) => {
        const sink = response.start(200, answered.headers)
        sink.write([Buffer.from(answered.body)])
        await new Promise((resolve) => setTimeout(resolve, 20))
        throw new Error('late fault')
      },
    })
    const client = await listener.connect()
    client.socket.write(get)
    await expect.poll(() => client.end, soon).not.toBeNull()
    expect(client.text).toContain('HTTP/1.1 200 OK')
    expect(client.text).not.toMatch(/hello$|\r\n0\r\n\r\n$|<Error>/)
    expect(client.text).not.toContain('late fault')
  })

  test.each([
    { name: 'no byte', pieces: [] },
    { name: 'all bytes', pieces: ['hello'] },
  ])(
    'before anything of the answer is out ($name written) has its own status',
    async ({ pieces }) => {
      const listener = await listen({
        GetObject: async ({ response }) => {
          const sink = response.start(200, { 'content-length': '5', 'content-type': 'text/x' })
          for (const piece of pieces) sink.write([Buffer.from(piece)])
          await new Promise((resolve) => setTimeout(resolve, 20))
          sink.destroy(new Error('early fault'))
          throw new Error('early fault')
        },
      })
      const { answer, client } = await listener.ask(get)
      expect(answer).toMatchObject({ status: 500, isWhole: true })
      expect(answer.headers.get('content-type')).toBe('application/xml')
      expect(answer.body).toContain('<Code>InternalError</Code>')
      expect(client.text).not.toContain('hello')
      expect(client.end).toBeNull()
    },
  )

  test('a body that is shorter than its length never ends', async () => {
    const listener = await listen({
      GetObject: async ({ response }) => {
        const sink = response.start(200, { 'content-length': '6' })
        sink.write([Buffer.from('hello')])
        sink.end()
      },
    })
    const client = await listener.connect()
    client.socket.write(get)
    await expect.poll(() => client.end, soon).not.toBeNull()
    expect(client.text).not.toContain('HTTP/1.1 500')
  })

  test.each([
    {
      name: 'an unknown key pair',
      bytes: get.replace('Credential=client/', 'Credential=nobody/'),
      status: 403,
    },
    { name: 'no signature', bytes: 'GET /bucket/k HTTP/1.1\r\nhost: a\r\n\r\n', status: 403 },
    {
      name: 'an operation without a handler',
      bytes: signedHead('GET', '/bucket/k?acl'),
      status: 501,
    },
    { name: 'an unknown operation', bytes: signedHead('GET', '/bucket/k?torrent'), status: 501 },
    {
      name: 'a path that is none',
      bytes: 'GET /bucket/%zz HTTP/1.1\r\nhost: a\r\n\r\n',
      status: 400,
    },
  ])('never starts for $name', async ({ bytes, status }) => {
    const listener = await listen({ GetObject: echo })
    const { answer } = await listener.ask(bytes)
    expect(answer.status).toBe(status)
    expect(answer.body).toContain('<Error><Code>')
    expect(listener.contexts).toEqual([])
  })
})

describe('Expect: 100-continue', () => {
  const head = putHead(5, ['expect: 100-continue'])

  test('is answered when the body is wanted', async () => {
    const listener = await listen({
      PutObject: async (context) => {
        await new Promise((resolve) => setTimeout(resolve, 50))
        context.response.send(200, {}, await readRequestBody(context, 100))
      },
    })
    const client = await listener.connect()
    client.socket.write(head)
    await until('the operation runs', () => listener.contexts.length === 1)
    expect(client.text).toBe('')
    await expect.poll(() => client.text, soon).toBe('HTTP/1.1 100 Continue\r\n\r\n')
    client.socket.write('hello')
    expect(await answerOn(client, 'PUT')).toMatchObject({ status: 200, body: 'hello', rest: '' })
  })

  test('is not answered when the body is not wanted, and the connection closes', async () => {
    const listener = await listen({ PutObject: failing(new S3Error('AccessDenied', 'No.')) })
    const { answer, client } = await listener.ask(head)
    expect(answer.status).toBe(403)
    expect(answer.headers.get('connection')).toBe('close')
    expect(client.text).not.toContain('100 Continue')
    await expect.poll(() => client.end, soon).toBe('clean')
  })

  test('is not answered to a request that is not signed', async () => {
    const listener = await listen({ PutObject: echo })
    const { answer, client } = await listener.ask(
      'PUT /bucket/k HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n',
    )
    expect(answer.status).toBe(403)
    expect(client.text).not.toContain('100 Continue')
    expect(client.end).toBeNull()
  })

  test('leaves the connection usable for a body that came all the same', async () => {
    const listener = await listen({ PutObject: echo })
    const { answer, client } = await listener.ask(`${head}hello`)
    expect(answer).toMatchObject({ status: 200, body: 'hello' })
    const before = client.text.length
    client.socket.write(`${putHead(2)}ok`)
    expect(await answerOn(client, 'PUT', before)).toMatchObject({ status: 200, body: 'ok' })
  })
})
