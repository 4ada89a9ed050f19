import type { ChunkSigner } from '../sigv4/chunk-signature.ts'

/** How a request's body is to be read and verified (`x-amz-content-sha256`). */
export type PayloadMode =
  | { readonly kind: 'unsigned' }
  | { readonly kind: 'sha256'; readonly hex: string }
  | {
      readonly kind: 'aws-chunked'
      /** Null if the chunks aren't signed. */
      readonly signer: ChunkSigner | null
      /** True if a trailer section must follow the last chunk. */
      readonly trailer: boolean
    }
