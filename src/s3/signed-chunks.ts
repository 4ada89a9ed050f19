import { createHash } from 'node:crypto'
import { emptySha256 } from '../sigv4/canonical.ts'
import type { ChunkSigner } from '../sigv4/chunk-signature.ts'

/** Data bytes of each chunk but the last: S3 wants at least 8 KiB. */
const chunkSize = 256 * 1024
/** `;chunk-signature=` and 64 hex digits, and the two line ends. */
const chunkOverhead = 17 + 64 + 4

/** Length of a body in `STREAMING-AWS4-HMAC-SHA256-PAYLOAD` framing as the encoder writes it. */
export function signedChunksLength(decodedLength: number): number {
  const full = Math.floor(decodedLength / chunkSize)
  const rest = decodedLength % chunkSize
  const framed = (size: number): number => size.toString(16).length + chunkOverhead + size
  return full * framed(chunkSize) + (rest > 0 ? framed(rest) : 0) + framed(0)
}

/**
 * Puts a body into signed chunks, without copying: a chunk's buffers are collected until it is
 * whole. The encoder owns the buffers that it is given until it has passed them on.
 */
export class SignedChunkEncoder {
  readonly #signer: ChunkSigner
  #remaining: number
  #buffers: Buffer[] = []
  #size = 0

  constructor(signer: ChunkSigner, decodedLength: number) {
    this.#signer = signer
    this.#remaining = decodedLength
  }

  push(bytes: Buffer, out: Buffer[]): void {
    this.#remaining -= bytes.length
    if (this.#remaining < 0) throw new RangeError('body is longer than its declared length')
    let offset = 0
    while (offset < bytes.length) {
      const piece = bytes.subarray(offset, offset + chunkSize - this.#size)
      this.#buffers.push(piece)
      this.#size += piece.length
      offset += piece.length
      if (this.#size === chunkSize) this.#endChunk(out)
    }
  }

  /** Emits the rest. Throws RangeError if the body is shorter than declared. */
  finish(out: Buffer[]): void {
    if (this.#remaining !== 0) throw new RangeError('body is shorter than its declared length')
    if (this.#size > 0) this.#endChunk(out)
    out.push(Buffer.from(`0;chunk-signature=${this.#signer.sign(emptySha256)}\r\n\r\n`))
  }

  #endChunk(out: Buffer[]): void {
    const hash = createHash('sha256')
    for (const buffer of this.#buffers) hash.update(buffer)
    const signature = this.#signer.sign(hash.digest('hex'))
    out.push(
      Buffer.from(`${this.#size.toString(16)};chunk-signature=${signature}\r\n`),
      ...this.#buffers,
      Buffer.from('\r\n'),
    )
    this.#buffers = []
    this.#size = 0
  }
}
