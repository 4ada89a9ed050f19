import { setTimeout as sleep } from 'node:timers/promises'
import { Credential, fixedCredentials } from '../../src/auth/credentials.ts'
import { S3Listener, type S3ListenerOptions } from '../../src/data-plane/s3-listener.ts'
import type { OperationContext, OperationHandler } from '../../src/ops/operation.ts'
import type { OperationName } from '../../src/s3/operations.ts'
import { RecordingLogger, type LogLine } from '../state/recording-logger.ts'
import { parseAnswer, RawClient, testKeys, type RawAnswer } from './raw-client.ts'
import { until } from './until.ts'

export type Limits = S3ListenerOptions['limits']

/** A listener whose operations are those of the test, and the clients that talk to it. */
export class TestListener {
  readonly log = new RecordingLogger()
  readonly contexts: OperationContext[] = []
  url = ''
  readonly #listener: S3Listener
  readonly #clients: RawClient[] = []

  constructor(
    handlers: Partial<Record<OperationName, OperationHandler>>,
    limits: Partial<Limits> = {},
  ) {
    const keep =
      (handler: OperationHandler): OperationHandler =>
      (context) => {
        this.contexts.push(context)
        return handler(context)
      }
    const entries = Object.entries(handlers) as [OperationName, OperationHandler][]
    this.#listener = new S3Listener(
      {
        host: '127.0.0.1',
        port: 0,
        region: 'us-east-1',
        virtualHostDomains: [],
        tls: null,
        limits: {
          maxHeaderSize: 16 * 1024,
          maxConnections: 100,
          maxRequestsInFlight: 10,
          headerTimeoutMs: 30_000,
          idleTimeoutMs: 30_000,
          shutdownGraceMs: 30_000,
          ...limits,
        },
      },
      {
        credentials: fixedCredentials([
          new Credential(testKeys.accessKeyId, testKeys.secretAccessKey),
        ]),
        handlers: new Map(entries.map(([name, handler]) => [name, keep(handler)])),
        log: this.log,
      },
    )
  }

  async listen(): Promise<this> {
    this.url = await this.#listener.listen()
    return this
  }

  async connect(): Promise<RawClient> {
    const client = await RawClient.connect(this.url)
    this.#clients.push(client)
    return client
  }

  /** Sends bytes over a new connection and waits for one whole answer, or the connection's end. */
  async ask(bytes: string): Promise<{ answer: RawAnswer; client: RawClient }> {
    const client = await this.connect()
    client.socket.write(bytes, 'latin1')
    return { answer: await answerOn(client, bytes.split(' ', 1)[0]), client }
  }

  /** Closes what the clients left open; rejects if the server keeps a connection or a request. */
  async close(): Promise<void> {
    for (const { socket } of this.#clients) socket.destroy()
    const closed = this.#listener.close().then(() => 'closed')
    if ((await Promise.race([closed, sleep(10_000, 'open', { ref: false })])) === 'open') {
      throw new Error('the server keeps a connection')
    }
    await until('all operations are over', () => this.contexts.length <= this.requestLines.length)
  }

  /** One line for each request that is over. */
  get requestLines(): readonly LogLine[] {
    return this.log.lines.filter(({ message }) => message === 'request')
  }

  /** Stops as the product does: nobody's connection is closed from outside. */
  stop(): Promise<void> {
    return this.#listener.close()
  }
}

/** The first answer on a connection, behind `offset` chars, once it is whole or cannot become so. */
export async function answerOn(client: RawClient, method = 'GET', offset = 0): Promise<RawAnswer> {
  const end = performance.now() + 15_000
  for (;;) {
    const answer = parseAnswer(client.text.slice(offset), { method })
    if (answer && (answer.isWhole || client.end)) return answer
    if (client.end) throw new Error(`connection ended (${client.end}) with: ${client.text}`)
    if (performance.now() > end) throw new Error(`no answer; only: ${client.text}`)
    // oxlint-disable-next-line no-await-in-loop -- looks again and again
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
