import type { IncomingMessage, ServerResponse } from 'node:http'
import { MessageSource } from '../http/message-source.ts'
import { WritableSink } from '../http/writable-sink.ts'
import { writeWhole } from '../http/write-whole.ts'
import type { ClientResponse, RequestBody } from '../ops/operation.ts'
import { S3Error } from '../s3/errors.ts'
import type { HeaderRecord } from '../s3/headers.ts'
import type { ByteSink, ByteSource } from '../stream/bytes.ts'
import { abortReason } from '../stream/pump.ts'
import { resetConnection } from './reset-connection.ts'

/** How long, and how much of, a body that nobody wants is still read after the answer. */
const lingerMs = 2_000
const lingerBytes = 1024 * 1024

/** The client went away before its request was over. */
export class ClientGoneError extends Error {
  override readonly name = 'ClientGoneError'
}

export interface ClientExchangeOptions {
  readonly requestId: string
  readonly idleTimeoutMs: number
  /** True if the client waits for `100 Continue` before it sends its body. */
  readonly expectsContinue: boolean
  /** Aborted with the reason why the request isn't going on: its body breaks with it. */
  readonly signal: AbortSignal
  /** Asked when the answer begins: true if its connection may serve no further request. */
  readonly isClosing: () => boolean
}

/** One request of `node:http` and its answer, as operations see them. */
export class ClientExchange implements RequestBody, ClientResponse {
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #options: ClientExchangeOptions
  #streamed: WritableSink | null = null

  constructor(request: IncomingMessage, response: ServerResponse, options: ClientExchangeOptions) {
    this.#request = request
    this.#response = response
    this.#options = options
  }

  get length(): number | null {
    const text = this.#request.headers['content-length']
    return text === undefined ? null : Number(text)
  }

  get started(): boolean {
    return this.#response.headersSent
  }

  /** True if an answer was started whose sink is neither ended nor destroyed. */
  get isLeftOpen(): boolean {
    return this.#streamed?.isOver === false
  }

  source(): ByteSource {
    if (this.#options.expectsContinue) this.#response.writeContinue()
    const { idleTimeoutMs, signal } = this.#options
    const source = new MessageSource(this.#request, {
      idleTimeoutMs,
      broken: (what, cause) =>
        what === 'stalled'
          ? new S3Error(
              'RequestTimeout',
              'Your socket connection to the server was not read from or written to within the timeout period.',
            )
          : new ClientGoneError('client broke its request off', { cause }),
      // The connection is still needed for the answer.
      giveUp: (request) => request.pause(),
    })
    const onAbort = (): void => source.fail(abortReason(signal))
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort)
    return source
  }

  send(status: number, headers: HeaderRecord, body: Buffer | string = ''): void {
    const bytes = Buffer.from(body)
    const isBodiless = status === 204 || status === 304
    const content = this.#request.method === 'HEAD' || isBodiless ? Buffer.alloc(0) : bytes
    const length = isBodiless ? {} : { 'content-length': String(bytes.length) }
    const isUnread = this.#hasUnreadBody()
    this.#sendHead(status, { ...length, ...headers })
    const sink = new WritableSink(this.#response, { ...this.#sinkOptions(), size: null })
    writeWhole(sink, content, () => {
      if (isUnread) this.#endAfterBody(sink)
      else sink.end()
    })
  }

  start(status: number, headers: HeaderRecord): ByteSink {
    const length = headers['content-length']
    this.#streamed = new WritableSink(this.#response, {
      ...this.#sinkOptions(),
      size: length === undefined ? null : Number(length),
      // As long as nothing is out, an error can have a status of its own.
      sendHead: () => this.#sendHead(status, headers),
    })
    return this.#streamed
  }

  /** Breaks the connection off: the client must not take what it got for a whole answer. */
  destroy(): void {
    resetConnection(this.#request.socket)
  }

  #sendHead(status: number, headers: HeaderRecord): void {
    const { 'content-length': length, ...others } = headers
    const isLast = this.#hasUnreadBody() || this.#options.isClosing()
    this.#response.writeHead(status, {
      server: 'NebulaIO',
      'x-amz-request-id': this.#options.requestId,
      ...(isLast && { connection: 'close' }),
      ...others,
      // Behind the others: node takes what follows a length for text and mangles bytes in there.
      ...(length !== undefined && { 'content-length': length }),
    })
  }

  #sinkOptions() {
    return {
      idleTimeoutMs: this.#options.idleTimeoutMs,
      broken: (_: 'cut' | 'stalled', cause?: Error) =>
        new ClientGoneError('client takes no more of the answer', { cause }),
      giveUp: () => {
        if (this.started) this.destroy()
      },
    }
  }

  #hasUnreadBody(): boolean {
    const isChunked = this.#request.headers['transfer-encoding'] !== undefined
    return (isChunked || (this.length ?? 0) > 0) && !this.#request.complete
  }

  /**
   * A client that is still sending must get the answer rather than a reset, and closing a
   * connection with bytes unread resets it: the end of the answer waits for that of the request.
   */
  #endAfterBody(sink: ByteSink): void {
    const request = this.#request
    this.#response.flushHeaders()
    const end = (): void => {
      clearTimeout(timer)
      sink.end()
    }
    const timer = setTimeout(end, lingerMs)
    let left = lingerBytes
    request.removeAllListeners('data')
    request.on('data', (bytes: Buffer) => {
      left -= bytes.length
      if (left < 0) end()
    })
    request.on('end', end)
    request.on('close', end)
    request.resume()
  }
}
