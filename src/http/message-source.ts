import type { IncomingMessage } from 'node:http'
import type { ByteReceiver, ByteSource } from '../stream/bytes.ts'

export interface MessageSourceOptions {
  /** Without a byte for so long the source breaks; time while it is paused doesn't count. */
  readonly idleTimeoutMs: number
  /** Makes the error for a body that breaks off or stalls. */
  readonly broken: (what: 'cut' | 'stalled', cause?: Error) => Error
  /** What becomes of the message if it isn't read to its end. */
  readonly giveUp: (message: IncomingMessage, reason: Error) => void
}

/** The body of a request or response of `node:http` as a source. */
export class MessageSource implements ByteSource {
  readonly #message: IncomingMessage
  readonly #options: MessageSourceOptions
  #receiver: ByteReceiver | null = null
  #reason: Error | null = null
  #timer: NodeJS.Timeout | null = null
  #isOver = false

  constructor(message: IncomingMessage, options: MessageSourceOptions) {
    this.#message = message
    this.#options = options
    // A body that breaks before it is delivered must not become an unhandled error.
    message.on('error', (cause) => this.fail(options.broken('cut', cause)))
    message.on('close', () => this.fail(options.broken('cut')))
  }

  deliver(receiver: ByteReceiver): void {
    this.#receiver = receiver
    const { destroyed, errored } = this.#message
    const cause = errored ?? undefined
    const reason = this.#reason ?? (destroyed ? this.#options.broken('cut', cause) : null)
    if (reason) {
      queueMicrotask(() => this.#break(reason))
      return
    }
    this.#message.on('data', (bytes: Buffer) => {
      if (this.#isOver) return
      this.#timer?.refresh()
      receiver.chunk(bytes)
    })
    this.#message.on('end', () => {
      if (this.#isOver || !this.#message.complete) return
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
    this.#options.giveUp(this.#message, reason)
  }

  /** Breaks the source from outside, once: its receiver, now or to come, hears of it. */
  fail(reason: Error): void {
    if (this.#isOver || this.#reason) return
    this.#reason = reason
    this.#break(reason)
  }

  #watch(): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = setTimeout(
      () => this.fail(this.#options.broken('stalled')),
      this.#options.idleTimeoutMs,
    )
  }

  #break(reason: Error): void {
    if (this.#isOver || !this.#receiver) return
    const receiver = this.#receiver
    this.#stop()
    this.#options.giveUp(this.#message, reason)
    receiver.error(reason)
  }

  #stop(): void {
    this.#isOver = true
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
  }
}
