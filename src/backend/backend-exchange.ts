import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { MessageSource } from '../http/message-source.ts'
import { WritableSink } from '../http/writable-sink.ts'
import { headerMap } from '../s3/headers.ts'
import { BackendError, type BackendResponse } from './client.ts'
import { brokenBackend, toBackendError } from './connection-errors.ts'

export interface BackendExchangeOptions {
  readonly signal: AbortSignal
  /** The socket's event after which it can be written to. */
  readonly ready: 'connect' | 'secureConnect'
  readonly connectTimeoutMs: number
  /** From the end of the request to the head of the answer. */
  readonly responseTimeoutMs: number
  readonly idleTimeoutMs: number
}

/** One request of `node:http` to the backend and its answer. */
export class BackendExchange {
  /** Rejects with BackendError. A rejection that nobody asks for isn't an unhandled one. */
  readonly response: Promise<BackendResponse>
  readonly #outgoing: ClientRequest
  readonly #options: BackendExchangeOptions
  readonly #resolve: (response: BackendResponse) => void
  readonly #reject: (reason: BackendError) => void
  #answer: IncomingMessage | null = null
  #timer: NodeJS.Timeout | null = null

  constructor(outgoing: ClientRequest, options: BackendExchangeOptions) {
    this.#outgoing = outgoing
    this.#options = options
    const { promise, resolve, reject } = Promise.withResolvers<BackendResponse>()
    this.response = promise
    this.#resolve = resolve
    this.#reject = reject
    // An upload's writer may hear of the failure first and never ask for the answer.
    promise.catch(() => undefined)
    outgoing.on('socket', (socket) => this.#watchConnect(socket))
    outgoing.on('finish', () => this.#watchResponse())
    outgoing.on('response', (message: IncomingMessage) => this.#answered(message))
    outgoing.on('error', (cause) => this.#failed(cause))
    this.#followSignal()
  }

  /** The request's body, of exactly `size` bytes. */
  sink(size: number): WritableSink {
    return new WritableSink(this.#outgoing, {
      size,
      idleTimeoutMs: this.#options.idleTimeoutMs,
      broken: brokenBackend,
      giveUp: (reason) => this.giveUp(toBackendError(reason)),
    })
  }

  /** Ends the exchange and its connection; an answer that has begun breaks off. */
  giveUp(reason: BackendError): void {
    // A destroyed request drops what is left of its answer and ends it: the answer goes first.
    this.#answer?.destroy(reason)
    this.#outgoing.destroy(reason)
    // A request that still waits for a connection would only tell once it has one.
    this.#failed(reason)
  }

  #failed(cause?: unknown): void {
    this.#stopTimer()
    this.#reject(toBackendError(cause))
  }

  #answered(message: IncomingMessage): void {
    this.#stopTimer()
    this.#answer = message
    // An answer before the end of the request: the rest of it is never going to be sent.
    message.on('close', () => {
      if (!this.#outgoing.writableFinished) this.#outgoing.destroy()
    })
    this.#resolve({
      status: message.statusCode ?? 0,
      headers: headerMap(message.rawHeaders),
      body: new MessageSource(message, {
        idleTimeoutMs: this.#options.idleTimeoutMs,
        broken: brokenBackend,
        giveUp: (_, reason) => message.destroy(reason),
      }),
    })
  }

  #followSignal(): void {
    const { signal } = this.#options
    const onAbort = (): void => this.giveUp(new BackendError('ABORTED', 'request given up'))
    this.#outgoing.on('close', () => {
      signal.removeEventListener('abort', onAbort)
      this.#failed()
    })
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort)
  }

  #watchConnect(socket: Socket): void {
    if (!socket.connecting) return
    const timer = setTimeout(
      () => this.giveUp(new BackendError('CONNECT', 'backend does not accept the connection')),
      this.#options.connectTimeoutMs,
    )
    socket.once(this.#options.ready, () => clearTimeout(timer))
    socket.once('close', () => clearTimeout(timer))
  }

  #watchResponse(): void {
    if (this.#answer) return
    this.#timer = setTimeout(
      () => this.giveUp(new BackendError('TIMEOUT', 'backend does not answer')),
      this.#options.responseTimeoutMs,
    )
  }

  #stopTimer(): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
  }
}
