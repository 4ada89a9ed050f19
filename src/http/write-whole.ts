import type { ByteSink } from '../stream/bytes.ts'

const pieceSize = 64 * 1024

/**
 * Writes a body that is at hand, no faster than the sink takes it, then calls `done`, once. A sink
 * that breaks is left to its owner: `done` isn't called.
 */
export function writeWhole(sink: ByteSink, bytes: Buffer, done: () => void): void {
  let offset = 0
  let isDone = false
  const more = (): void => {
    while (offset < bytes.length) {
      const piece = bytes.subarray(offset, offset + pieceSize)
      offset += piece.length
      if (!sink.write([piece])) return
    }
    if (isDone) return
    isDone = true
    done()
  }
  sink.onDrain(more)
  more()
}
