import type { IncomingMessage } from 'node:http'
import type { ByteReceiver, ByteSource } from '../stream/bytes.ts'

export interface MessageSourceOptions {
  /** Without a byte for so long the source breaks; time while it is paused doesn't count. */
  readonly idleTimeoutMs: number
  /** Makes the error for a body that breaks off or stalls. */
  readonly broken: (what: 'cut' | 'stalled') => Error
  /**
   * What `abort` does to the connection: `destroy` it, or `keep` it with the rest of the body unread,
   * for an owner who still has to answer over it.
   */
  readonly onAbort: 'destroy' | 'keep'
}

/** The body of a request or response of `node:http` as a source. */
export class MessageSource implements ByteSource {
  readonly #message: IncomingMessage
  readonly #options: MessageSourceOptions
  #receiver: ByteReceiver | null = null
  #timer: NodeJS.Timeout | null = null
  #isOver = false

  constructor(message: IncomingMessage, options: MessageSourceOptions) {
    this.#message = message
    this.#options = options
    // A body that breaks before it is delivered must not become an unhandled error.
    message.on('error', () => this.#break('cut'))
    message.on('close', () => this.#break('cut'))
  }

  deliver(receiver: ByteReceiver): void {
    this.#receiver = receiver
    const message = this.#message
    if (message.destroyed && !message.readableEnded && !this.#isOver) {
      queueMicrotask(() => this.#break('cut'))
      return
    }
    message.on('data', (bytes: Buffer) => {
      if (this.#isOver) return
      this.#timer?.refresh()
      receiver.chunk(bytes)
    })
    message.on('end', () => {
      if (this.#isOver || !message.complete) return
      this.#stop()
      receiver.end()
    })
    this.#watch()
  }

  pause(): void {
    this.#message.pause()
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
  }

  resume(): void {
    if (this.#isOver) return
    this.#watch()
    this.#message.resume()
  }

  abort(reason: Error): void {
    if (this.#isOver) return
    this.#stop()
    this.#receiver = null
    if (this.#options.onAbort === 'destroy') this.#message.destroy(reason)
    else this.#message.pause()
  }

  #watch(): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#break('stalled'), this.#options.idleTimeoutMs)
  }

  #break(what: 'cut' | 'stalled'): void {
    if (this.#isOver || !this.#receiver) return
    if (what === 'cut' && this.#message.complete && !this.#message.readableEnded) {
      // All bytes are here and 'end' is still to come, unless somebody destroyed the message.
      if (!this.#message.destroyed) return
    }
    const receiver = this.#receiver
    this.#stop()
    const reason = this.#options.broken(what)
    if (what === 'cut' || this.#options.onAbort === 'destroy') this.#message.destroy(reason)
    receiver.error(reason)
  }

  #stop(): void {
    this.#isOver = true
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
  }
}
