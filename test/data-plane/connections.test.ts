import { afterEach, describe, expect, test } from 'vitest'
import type { OperationHandler } from '../../src/ops/operation.ts'
import { S3Error } from '../../src/s3/errors.ts'
import type { OperationName } from '../../src/s3/operations.ts'
import { answerOn, TestListener, type Limits } from '../support/listener.ts'
import { parseAnswer, signedHead, type RawClient } from '../support/raw-client.ts'
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

const hello: OperationHandler = async ({ response }) => response.send(200, {}, 'hello')
const get = signedHead('GET', '/bucket/k')
const put = (...lines: string[]): string => signedHead('PUT', '/bucket/k', { lines })
const pause = (timeMs: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, timeMs)
  })

/** The statuses of all answers on a connection. */
function statuses(client: RawClient): number[] {
  const found: number[] = []
  for (let text = client.text; ;) {
    const answer = parseAnswer(text)
    if (!answer?.isWhole) return found
    found.push(answer.status)
    text = answer.rest
  }
}

describe("an answer's header", () => {
  const raw = Buffer.from('attachment; filename="é€à"').toString('latin1')
  const send: OperationHandler = async ({ response }) =>
    response.send(200, { 'content-disposition': raw, 'x-amz-meta-a': raw }, 'hello')
  const start: OperationHandler = async ({ response }) => {
    const headers = { 'content-length': '5', 'content-disposition': raw, 'x-amz-meta-a': raw }
    const sink = response.start(200, headers)
    sink.write([Buffer.from('hello')])
    sink.end()
  }
  const head: OperationHandler = async ({ response }) =>
    response.send(200, {
      'content-length': '1000',
      'content-disposition': raw,
      'x-amz-meta-a': raw,
    })

  test.each([
    ['GET', { GetObject: send }],
    ['GET', { GetObject: start }],
    ['HEAD', { HeadObject: head }],
  ])('to %s keeps its bytes', async (method, handlers) => {
    const listener = await listen(handlers)
    const { answer, client } = await listener.ask(signedHead(method, '/bucket/k'))
    expect(answer.status).toBe(200)
    expect(client.text).toContain(`\r\ncontent-disposition: ${raw}\r\n`)
    expect(client.text).toContain(`\r\nx-amz-meta-a: ${raw}\r\n`)
  })
})

describe('an answer that fails', () => {
  const late: Record<string, OperationHandler> = {
    'after its head': async ({ response }) => {
      response.start(200, {}).write([Buffer.from('hello')])
      await pause(20)
      throw new Error('a fault')
    },
    'by its sink': async ({ response }) => {
      const sink = response.start(200, {})
      sink.write([Buffer.from('hello')])
      await pause(20)
      sink.destroy(new Error('a fault'))
    },
    'by being left without an end': async ({ response }) => {
      response.start(200, {}).write([Buffer.from('hello')])
    },
  }

  test.each(Object.entries(late))('%s breaks the connection', async (_, handler) => {
    const listener = await listen({ GetObject: handler })
    const client = await listener.connect()
    client.socket.write(get)
    await expect.poll(() => client.end, soon).toBe('broken')
    expect(client.text).not.toMatch(/\r\n0\r\n\r\n$/)
  })

  test.each(Object.entries(late))(
    '%s breaks even a connection whose end would end the body',
    async (_, handler) => {
      const listener = await listen({ GetObject: handler })
      const client = await listener.connect()
      client.socket.write(get.replace('HTTP/1.1', 'HTTP/1.0'))
      await expect.poll(() => client.end, soon).toBe('broken')
    },
  )
})

describe('requests that do not wait for answers', () => {
  test('are served one by one, in their order', async () => {
    const events: string[] = []
    let count = 0
    const listener = await listen({
      GetObject: async ({ response }) => {
        const index = count++
        events.push(`begin ${index}`)
        await pause(index === 0 ? 30 : 1)
        events.push(`end ${index}`)
        response.send(200, {}, String(index))
      },
    })
    const client = await listener.connect()
    client.socket.write(get.repeat(3))
    await expect.poll(() => statuses(client), soon).toEqual([200, 200, 200])
    expect(events).toEqual(['begin 0', 'end 0', 'begin 1', 'end 1', 'begin 2', 'end 2'])
  })

  test('are not served behind one whose answer broke', async () => {
    const listener = await listen({
      GetObject: async ({ response }) => {
        response.start(200, {}).write([Buffer.from('hello')])
        throw new Error('a fault')
      },
      PutObject: hello,
    })
    const client = await listener.connect()
    client.socket.write(`${get}${put('content-length: 0')}`)
    await expect.poll(() => client.end, soon).toBe('broken')
    await expect.poll(() => listener.requestLines.length, soon).toBe(2)
    expect(listener.contexts.map(({ operation }) => operation)).toEqual(['GetObject'])
  })

  test('must not pile up', async () => {
    const gate = Promise.withResolvers<void>()
    const listener = await listen({ GetObject: () => gate.promise }, { maxRequestsInFlight: 1000 })
    const client = await listener.connect()
    client.socket.write(get.repeat(200))
    await expect.poll(() => client.end, soon).not.toBeNull()
    gate.resolve()
    expect(listener.contexts.length).toBeLessThan(2)
  })
})

describe('a request', () => {
  test.each([
    ['without a host', 'GET /bucket/k HTTP/1.1\r\n\r\n'],
    ['with two hosts', 'GET /bucket/k HTTP/1.1\r\nhost: a\r\nHost: b\r\n\r\n'],
  ])('%s is refused', async (_, text) => {
    const listener = await listen({ GetObject: hello })
    const { answer, client } = await listener.ask(text)
    expect(answer.status).toBe(400)
    expect(answer.body).toContain('<Code>BadRequest</Code>')
    await expect.poll(() => client.end, soon).not.toBeNull()
  })

  test.each(['gzip, chunked', 'identity, chunked'])(
    'in transfer coding %s is refused',
    async (coding) => {
      const listener = await listen({ PutObject: hello })
      const head = signedHead('PUT', '/bucket/k', {
        headers: { 'x-amz-decoded-content-length': '0' },
        lines: [`transfer-encoding: ${coding}`],
      })
      const { answer } = await listener.ask(`${head}0\r\n\r\n`)
      expect(answer.status).toBe(501)
      expect(listener.contexts).toEqual([])
    },
  )

  test('that is refused for overload is told when to come again', async () => {
    const gate = Promise.withResolvers<void>()
    const waiting: OperationHandler = async (context) => {
      await gate.promise
      await hello(context)
    }
    const listener = await listen({ GetObject: waiting }, { maxRequestsInFlight: 1 })
    const first = await listener.connect()
    first.socket.write(get)
    await until('the first is served', () => listener.contexts.length === 1)
    const { answer } = await listener.ask(get)
    expect(answer.status).toBe(503)
    expect(answer.headers.has('retry-after')).toBe(true)
    gate.resolve()
    expect(await answerOn(first)).toMatchObject({ status: 200 })
  })
})

test('an answer that begins after the listener was closed closes its connection', async () => {
  const gate = Promise.withResolvers<void>()
  const listener = await listen({
    GetObject: async (context) => {
      await gate.promise
      await hello(context)
    },
  })
  const client = await listener.connect()
  client.socket.write(get)
  await until('the request is served', () => listener.contexts.length === 1)
  const closed = listener.stop()
  gate.resolve()
  expect((await answerOn(client)).headers.get('connection')).toBe('close')
  await closed
})

describe('the log', () => {
  test('tells what was wrong with a request', async () => {
    const listener = await listen({
      PutObject: async () => {
        throw new S3Error('AccessDenied', 'No.')
      },
    })
    await listener.ask(put('content-length: 0'))
    await until('it is over', () => listener.requestLines.length === 1)
    expect(listener.requestLines[0]?.fields).toMatchObject({
      operation: 'PutObject',
      status: 403,
      error_code: 'AccessDenied',
    })
  })

  test('has one line for what is no HTTP, however much comes', async () => {
    const listener = await listen({})
    const client = await listener.connect()
    for (let i = 0; i < 3; i++) {
      client.socket.write('no HTTP\r\n\r\n')
      await pause(5)
    }
    await expect.poll(() => client.text, soon).toContain('</Error>')
    expect(listener.log.lines).toMatchObject([
      { level: 'info', fields: { error_code: 'BadRequest' }, message: 'connection refused' },
    ])
  })
})
