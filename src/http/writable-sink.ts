import type { ClientRequest, OutgoingMessage } from 'node:http'
import type { ByteSink } from '../stream/bytes.ts'

export interface WritableSinkOptions {
  /** If the other side takes nothing for so long the sink breaks. */
  readonly idleTimeoutMs: number
  /** Makes the error for a connection that is gone or stalls. */
  readonly broken: (what: 'cut' | 'stalled') => Error
}

/** The body of a request or response that is sent by `node:http` as a sink. */
export class WritableSink implements ByteSink {
  readonly #message: OutgoingMessage
  readonly #options: WritableSinkOptions
  #drained: () => void = () => undefined
  #failed: (reason: Error) => void = () => undefined
  #reason: Error | null = null
  #isOver = false
  #timer: NodeJS.Timeout | null = null

  constructor(message: OutgoingMessage | ClientRequest, options: WritableSinkOptions) {
    this.#message = message
    this.#options = options
    message.on('drain', () => {
      this.#calm()
      if (!this.#isOver) this.#drained()
    })
    message.on('error', () => this.fail(options.broken('cut')))
    message.on('close', () => this.fail(options.broken('cut')))
  }

  write(buffers: readonly Buffer[]): boolean {
    if (this.#isOver) return true
    const message = this.#message
    if (buffers.length > 1) message.cork()
    let hasRoom = true
    for (const buffer of buffers) hasRoom = message.write(buffer)
    if (buffers.length > 1) message.uncork()
    if (!hasRoom && !this.#timer) {
      this.#timer = setTimeout(
        () => this.fail(this.#options.broken('stalled')),
        this.#options.idleTimeoutMs,
      )
    }
    return hasRoom
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
    this.#isOver = true
    this.#calm()
    this.#message.end()
  }

  destroy(reason: Error): void {
    this.#isOver = true
    this.#calm()
    this.#message.destroy(reason)
  }

  /** Breaks the sink from the other side, once: whoever writes hears of it. */
  fail(reason: Error): void {
    if (this.#isOver || this.#reason) return
    this.#reason = reason
    this.#calm()
    this.#failed(reason)
  }

  #calm(): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
  }
}
