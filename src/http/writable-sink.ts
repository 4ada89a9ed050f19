import type { ClientRequest, OutgoingMessage } from 'node:http'
import type { ByteSink } from '../stream/bytes.ts'

export interface WritableSinkOptions {
  /** The body's exact size; null if it isn't known beforehand. */
  readonly size: number | null
  /** If the other side doesn't take what was written within this time, the sink breaks. */
  readonly idleTimeoutMs: number
  /** Makes the error for a connection that is gone or stalls. */
  readonly broken: (what: 'cut' | 'stalled', cause?: Error) => Error
  /** Breaks the message off. */
  readonly giveUp: (reason: Error) => void
  /** Called once, before the first bytes go out or, without any, before the end. */
  readonly sendHead?: () => void
}

/**
 * The body of a request or response that is sent by `node:http` as a sink. With a size, the last
 * buffer waits for `end`: a body whose bytes are all there could be taken for a whole one.
 */
export class WritableSink implements ByteSink {
  readonly #message: OutgoingMessage
  readonly #options: WritableSinkOptions
  #written = 0
  #last: Buffer | null = null
  #drained: () => void = () => undefined
  #failed: (reason: Error) => void = () => undefined
  #reason: Error | null = null
  #isOpen = false
  #isOver = false
  #isRefused = false
  #timer: NodeJS.Timeout | null = null

  constructor(message: OutgoingMessage | ClientRequest, options: WritableSinkOptions) {
    this.#message = message
    this.#options = options
    message.on('drain', () => {
      this.#calm()
      if (!this.#isOver) this.#drained()
    })
    message.on('finish', () => this.#calm())
    message.on('error', (cause) => this.#fail(options.broken('cut', cause)))
    message.on('close', () => this.#fail(options.broken('cut')))
  }

  /** True once it was ended or destroyed. */
  get isOver(): boolean {
    return this.#isOver
  }

  write(buffers: readonly Buffer[]): boolean {
    if (this.#isOver) return true
    const { size } = this.#options
    const now = buffers.filter((buffer) => buffer.length > 0)
    for (const buffer of now) this.#written += buffer.length
    if (size !== null && this.#written > size) throw new RangeError('body is longer than declared')
    if (this.#written === size) this.#last = now.pop() ?? this.#last
    return this.#send(now)
  }

  onDrain(callback: () => void): void {
    this.#drained = callback
  }

  onError(callback: (reason: Error) => void): void {
    this.#failed = callback
    if (this.#reason) callback(this.#reason)
  }

  end(): void {
    if (this.#isOver) return
    const { size } = this.#options
    if (size !== null && this.#written < size) throw new RangeError('body is shorter than declared')
    this.#openMessage()
    this.#isOver = true
    if (this.#last) {
      // Not given to `end`: node would learn the size before the head, and mangle bytes in there.
      this.#message.cork()
      this.#message.write(this.#last)
    }
    this.#message.end()
    if (!this.#message.writableFinished && !this.#message.destroyed) this.#watch()
  }

  destroy(reason: Error): void {
    this.#isOver = true
    this.#calm()
    if (!this.#isRefused) this.#options.giveUp(reason)
  }

  /**
   * The other side wants no more, and says why in an answer that is still to be read: whoever writes
   * hears of it, and the message stays as it is, without an end.
   */
  refuse(reason: Error): void {
    if (this.#isOver || this.#reason) return
    this.#isRefused = true
    this.#fail(reason)
  }

  #send(buffers: readonly Buffer[]): boolean {
    const message = this.#message
    if (buffers.length > 0) this.#openMessage()
    if (buffers.length > 1) message.cork()
    let hasRoom = true
    for (const buffer of buffers) hasRoom = message.write(buffer)
    if (buffers.length > 1) message.uncork()
    if (!hasRoom) this.#watch()
    return hasRoom
  }

  #openMessage(): void {
    if (this.#isOpen) return
    this.#isOpen = true
    this.#options.sendHead?.()
  }

  #fail(reason: Error): void {
    this.#calm()
    if (this.#isOver || this.#reason) return
    this.#reason = reason
    this.#failed(reason)
  }

  #watch(): void {
    this.#timer ??= setTimeout(() => {
      const reason = this.#options.broken('stalled')
      this.#options.giveUp(reason)
      this.#fail(reason)
    }, this.#options.idleTimeoutMs)
  }

  #calm(): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
  }
}
