import type { IncomingMessage, ServerResponse } from 'node:http'
import { MessageSource } from '../http/message-source.ts'
import { WritableSink } from '../http/writable-sink.ts'
import type { ClientResponse, RequestBody } from '../ops/operation.ts'
import { S3Error } from '../s3/errors.ts'
import type { HeaderRecord } from '../s3/headers.ts'
import type { ByteSink, ByteSource } from '../stream/bytes.ts'

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
}

/** One request of `node:http` and its answer, as operations see them. */
export class ClientExchange implements RequestBody, ClientResponse {
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #options: ClientExchangeOptions
  #isBodyTaken = false

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

  source(): ByteSource {
    this.#isBodyTaken = true
    if (this.#options.expectsContinue) this.#response.writeContinue()
    return new MessageSource(this.#request, {
      idleTimeoutMs: this.#options.idleTimeoutMs,
      onAbort: 'keep',
      broken: (what) =>
        what === 'stalled'
          ? new S3Error(
              'RequestTimeout',
              'Your socket connection to the server was not read from or written to within the timeout period.',
            )
          : new ClientGoneError('client broke its request off'),
    })
  }

  send(status: number, headers: HeaderRecord, body: Buffer | string = ''): void {
    const bytes = Buffer.from(body)
    const hasBody = this.#request.method !== 'HEAD' && status !== 204 && status !== 304
    const length = headers['content-length'] ?? String(bytes.length)
    const withLength = status === 204 ? headers : { ...headers, 'content-length': length }
    this.#head(status, withLength)
    this.#response.end(hasBody ? bytes : undefined)
    this.#linger()
  }

  start(status: number, headers: HeaderRecord): ByteSink {
    this.#head(status, headers)
    return new WritableSink(this.#response, {
      idleTimeoutMs: this.#options.idleTimeoutMs,
      broken: () => new ClientGoneError('client takes no more of the answer'),
    })
  }

  /** Breaks the connection off: the client must not take what it got for a whole answer. */
  destroy(): void {
    this.#response.socket?.destroy()
    this.#request.destroy()
  }

  #head(status: number, headers: HeaderRecord): void {
    if (this.#hasUnreadBody()) this.#response.setHeader('connection', 'close')
    this.#response.writeHead(status, {
      server: 'NebulaIO',
      'x-amz-request-id': this.#options.requestId,
      ...headers,
    })
  }

  #hasUnreadBody(): boolean {
    const mayHaveBody = this.length !== 0 && this.length !== null
    const isChunked = this.#request.headers['transfer-encoding'] !== undefined
    return (mayHaveBody || isChunked) && !(this.#isBodyTaken && this.#request.readableEnded)
  }

  /** A client that is still sending must get the answer rather than a reset: read on for a while. */
  #linger(): void {
    const request = this.#request
    if (request.readableEnded || request.destroyed) return
    let left = lingerBytes
    const timer = setTimeout(() => this.destroy(), lingerMs)
    request.on('close', () => clearTimeout(timer))
    request.on('end', () => clearTimeout(timer))
    request.on('error', () => clearTimeout(timer))
    request.removeAllListeners('data')
    request.on('data', (bytes: Buffer) => {
      left -= bytes.length
      if (left < 0) this.destroy()
    })
    request.resume()
  }
}
