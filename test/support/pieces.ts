import type { ByteReceiver, ByteSource } from '../../src/stream/bytes.ts'

/** A source that gives pieces of 64 KiB as fast as they are taken, then ends as it is told to. */
export class Pieces implements ByteSource {
  readonly #bytes: Buffer
  readonly #last: 'end' | 'stall' | Error
  #offset = 0
  #isPaused = false
  #receiver: ByteReceiver | null = null
  abortReason: Error | null = null

  constructor(bytes: Buffer, last: 'end' | 'stall' | Error = 'end') {
    this.#bytes = bytes
    this.#last = last
  }

  deliver(receiver: ByteReceiver): void {
    this.#receiver = receiver
    setImmediate(() => this.#give())
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    setImmediate(() => this.#give())
  }

  abort(reason: Error): void {
    this.abortReason = reason
    this.#receiver = null
  }

  #give(): void {
    if (this.#isPaused || !this.#receiver) return
    const piece = this.#bytes.subarray(this.#offset, this.#offset + 65_536)
    this.#offset += piece.length
    if (piece.length > 0) {
      this.#receiver.chunk(piece)
      setImmediate(() => this.#give())
    } else if (this.#last instanceof Error) this.#receiver.error(this.#last)
    else if (this.#last === 'end') this.#receiver.end()
  }
}
