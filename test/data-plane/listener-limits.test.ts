import { afterEach, describe, expect, test } from 'vitest'
import type { OperationContext, OperationHandler } from '../../src/ops/operation.ts'
import type { OperationName } from '../../src/s3/operations.ts'
import { answerOn, TestListener, type Limits } from '../support/listener.ts'
import { echoRaw } from '../support/pass-on.ts'
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

/** Reads until the body is over, one way or the other. */
function drain({ body }: OperationContext): Promise<void> {
  return new Promise((resolve, reject) => {
    body.source().deliver({ chunk: () => undefined, end: resolve, error: reject })
  })
}

const get = signedHead('GET', '/bucket/k')
const putHead = (length: number): string =>
  signedHead('PUT', '/bucket/k', { lines: [`content-length: ${length}`] })

describe('limits', () => {
  test('requests beyond the limit are told to slow down', async () => {
    const gate = Promise.withResolvers<void>()
    const listener = await listen(
      {
        GetObject: async ({ response }) => {
          await gate.promise
          response.send(200, {}, 'done')
        },
      },
      { maxRequestsInFlight: 2 },
    )
    const first = [await listener.connect(), await listener.connect()]
    for (const { socket } of first) socket.write(get)
    await until('both run', () => listener.contexts.length === 2)
    const { answer } = await listener.ask(get)
    expect(answer.status).toBe(503)
    expect(answer.body).toContain('<Code>SlowDown</Code>')
    gate.resolve()
    for (const client of first) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      expect((await answerOn(client)).body).toBe('done')
    }
    expect((await listener.ask(get)).answer.body).toBe('done')
  })

  test('a body that stalls is answered with RequestTimeout', async () => {
    const listener = await listen({ PutObject: echoRaw }, { idleTimeoutMs: 200 })
    const { answer, client } = await listener.ask(`${putHead(10)}hello`)
    expect(answer.status).toBe(400)
    expect(answer.body).toContain('<Code>RequestTimeout</Code>')
    expect(answer.headers.get('connection')).toBe('close')
    await expect.poll(() => client.end, soon).toBe('clean')
  })

  test('a head that does not come is answered with RequestTimeout', async () => {
    const listener = await listen({}, { headerTimeoutMs: 200 })
    const { answer } = await listener.ask('GET / HTTP/1.1\r\nhost: a\r\n')
    expect(answer.status).toBe(400)
    expect(answer.body).toContain('<Code>RequestTimeout</Code>')
  })

  test('closing lets requests end, then leaves no connection', async () => {
    const gate = Promise.withResolvers<void>()
    const listener = await listen({
      GetObject: async ({ response }) => {
        await gate.promise
        response.send(200, {}, 'done')
      },
    })
    const idle = await listener.connect()
    const client = await listener.connect()
    client.socket.write(get)
    await until('the request runs', () => listener.contexts.length === 1)
    const stopped = listener.stop()
    await expect.poll(() => idle.end, soon).not.toBeNull()
    gate.resolve()
    expect((await answerOn(client)).body).toBe('done')
    await stopped
    await expect.poll(() => client.end, soon).toBe('clean')
    expect(listener.contexts[0]?.signal.aborted).toBe(false)
  })

  test('closing breaks off what takes longer than the grace time', async () => {
    const listener = await listen({ PutObject: drain }, { shutdownGraceMs: 100 })
    const client = await listener.connect()
    client.socket.write(`${putHead(10)}hello`)
    await until('the request runs', () => listener.contexts.length === 1)
    await listener.stop()
    await expect.poll(() => listener.contexts[0]?.signal.aborted, soon).toBe(true)
    await expect.poll(() => client.end, soon).not.toBeNull()
    expect(client.text).toBe('')
  })
})
