import { createHash } from 'node:crypto'
import { AwsChunkedDecoder } from '../../src/s3/aws-chunked.ts'
import { S3Error } from '../../src/s3/errors.ts'
import { ChunkSigner } from '../../src/sigv4/chunk-signature.ts'
import { signingKey } from '../../src/sigv4/signing-key.ts'

/** A new chain of signatures; `variant` makes chains that don't fit each other. */
export function chunkSigner(variant = 'a'): ChunkSigner {
  return new ChunkSigner({
    signingKey: signingKey('secret', '20260304', 'eu-central-1'),
    scope: '20260304/eu-central-1/s3/aws4_request',
    amzDate: '20260304T050607Z',
    seedSignature: variant.repeat(64),
  })
}

function sha256(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex')
}

export interface Framing {
  readonly signed: boolean
  /** Trailer lines without their ends, in order; null if the body has no trailer section. */
  readonly trailers: readonly string[] | null
  /** How trailers end: as those of the AWS SDKs, or as those of MinIO's. */
  readonly style?: 'aws' | 'minio'
  readonly signer?: ChunkSigner
}

/** Frames chunks as clients do, independently of the product's encoder. */
export function frame(chunks: readonly Buffer[], framing: Framing): Buffer {
  const { signed, trailers, style = 'aws', signer = chunkSigner() } = framing
  const header = (data: Buffer): Buffer => {
    const extension = signed ? `;chunk-signature=${signer.sign(sha256(data))}` : ''
    return Buffer.from(`${data.length.toString(16)}${extension}\r\n`)
  }
  const pieces = chunks.flatMap((data) => [header(data), data, Buffer.from('\r\n')])
  pieces.push(header(Buffer.alloc(0)))
  if (trailers) {
    const lineEnd = style === 'aws' ? '\r\n' : '\n'
    pieces.push(Buffer.from(trailers.map((line) => `${line}${lineEnd}`).join('')))
    if (style === 'minio') pieces.push(Buffer.from('\r\n'))
    if (signed) {
      const canonical = Buffer.from(trailers.map((line) => `${line}\n`).join(''))
      const signature = signer.signTrailer(sha256(canonical))
      pieces.push(Buffer.from(`x-amz-trailer-signature:${signature}\r\n`))
    }
  }
  pieces.push(Buffer.from('\r\n'))
  return Buffer.concat(pieces)
}

export interface DecodeOptions {
  readonly decodedLength: number
  readonly signed: boolean
  readonly trailer: boolean
}

export interface Decoded {
  readonly data: Buffer
  readonly trailers: ReadonlyMap<string, string>
}

/** Decodes a body that comes in these pieces. Throws what the decoder throws. */
export function decode(pieces: readonly Buffer[], options: DecodeOptions): Decoded {
  const { decodedLength, signed, trailer } = options
  const decoder = new AwsChunkedDecoder({
    decodedLength,
    signer: signed ? chunkSigner() : null,
    trailer,
  })
  const data: Buffer[] = []
  for (const piece of pieces) decoder.push(piece, (bytes) => data.push(Buffer.from(bytes)))
  return { trailers: decoder.finish(), data: Buffer.concat(data) }
}

/** The code of the S3Error that the body is refused with, or 'accepted'. */
export function verdict(pieces: readonly Buffer[], options: DecodeOptions): string {
  try {
    decode(pieces, options)
    return 'accepted'
  } catch (error) {
    if (error instanceof S3Error) return error.code
    throw error
  }
}
