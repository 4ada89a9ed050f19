/** Signs, or recomputes, the chain of chunk signatures of one aws-chunked body. */
export interface ChunkSigner {
  /** The signature (hex) of the next chunk, given the SHA-256 (hex) of its data. */
  sign(chunkSha256: string): string
  /** The signature (hex) of the trailer section, given the SHA-256 (hex) of its canonical form. */
  signTrailer(trailerSha256: string): string
}
