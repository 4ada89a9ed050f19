import type { WritableSink } from '../http/writable-sink.ts'
import type { SignedChunkEncoder } from '../s3/signed-chunks.ts'
import type { ByteSink } from '../stream/bytes.ts'

/** A sink that puts what it is given into signed chunks. */
export class ChunkedSink implements ByteSink {
  readonly #sink: WritableSink
  readonly #encoder: SignedChunkEncoder

  constructor(sink: WritableSink, encoder: SignedChunkEncoder) {
    this.#sink = sink
    this.#encoder = encoder
  }

  write(buffers: readonly Buffer[]): boolean {
    const out: Buffer[] = []
    for (const buffer of buffers) this.#encoder.push(buffer, out)
    return out.length === 0 || this.#sink.write(out)
  }

  onDrain(callback: () => void): void {
    this.#sink.onDrain(callback)
  }

  onError(callback: (reason: Error) => void): void {
    this.#sink.onError(callback)
  }

  end(): void {
    const out: Buffer[] = []
    this.#encoder.finish(out)
    this.#sink.write(out)
    this.#sink.end()
  }

  destroy(reason: Error): void {
    this.#sink.destroy(reason)
  }
}
