import { emptySha256 } from './canonical.ts'
import { hmac } from './signing-key.ts'

export interface ChunkChain {
  readonly signingKey: Buffer
  readonly scope: string
  readonly amzDate: string
  /** The signature (hex) of the request itself. */
  readonly seedSignature: string
}

/**
 * The chain of chunk signatures of one aws-chunked body ("Signature calculations for the
 * authorization header: transferring payload in multiple chunks", Amazon S3 API reference).
 */
export class ChunkSigner {
  readonly #chain: ChunkChain
  #previous: string

  constructor(chain: ChunkChain) {
    this.#chain = chain
    this.#previous = chain.seedSignature
  }

  /** The signature (hex) of the next chunk, given the SHA-256 (hex) of its data. */
  sign(chunkSha256: string): string {
    return this.#next('AWS4-HMAC-SHA256-PAYLOAD', [emptySha256, chunkSha256])
  }

  /** The signature (hex) of the trailer section, given the SHA-256 (hex) of its canonical form. */
  signTrailer(trailerSha256: string): string {
    return this.#next('AWS4-HMAC-SHA256-TRAILER', [trailerSha256])
  }

  #next(algorithm: string, hashes: readonly string[]): string {
    const { amzDate, scope, signingKey } = this.#chain
    const text = [algorithm, amzDate, scope, this.#previous, ...hashes].join('\n')
    this.#previous = hmac(signingKey, text).toString('hex')
    return this.#previous
  }
}
