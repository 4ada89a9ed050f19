import { createHash, timingSafeEqual, type Hash } from 'node:crypto'
import { sha256Hex } from '../sigv4/canonical.ts'
import type { ChunkSigner } from '../sigv4/chunk-signature.ts'
import { S3Error } from './errors.ts'

const maxChunkHeaderSize = 1024
const maxTrailerSize = 16 * 1024
const maxTrailerLines = 100
/** Bounded, because repetitions that can match the same spaces take quadratic time. */
const trailerLine = /^([A-Za-z0-9-]{1,100}):[ \t]{0,8}([!-~]*)[ \t]{0,8}$/
const trailerSignatureName = 'x-amz-trailer-signature'

export interface AwsChunkedOptions {
  /** `x-amz-decoded-content-length`. */
  readonly decodedLength: number
  /** Null if the chunks aren't signed. */
  readonly signer: ChunkSigner | null
  /** True if a trailer section must follow the last chunk. */
  readonly trailer: boolean
}

type State = 'header' | 'data' | 'data-end' | 'trailer' | 'done'

/**
 * Takes the aws-chunked framing off a body and verifies its signatures ("Transferring payload in
 * multiple chunks", Amazon S3 API reference). A chunk's data is emitted before its signature is
 * verified: whoever takes it must hold its end back until `finish` has returned.
 */
export class AwsChunkedDecoder {
  readonly #options: AwsChunkedOptions
  #state: State = 'header'
  #line = Buffer.alloc(0)
  #chunkRemaining = 0
  #isLastChunk = false
  #decoded = 0
  #chunkSignature = ''
  #chunkHash: Hash | null = null
  #trailerSize = 0
  /** Whether the last trailer line ended in a bare LF, so that a CRLF still belongs to it. */
  #owesCrlf = false
  readonly #trailerLines: string[] = []
  readonly #trailers = new Map<string, string>()

  constructor(options: AwsChunkedOptions) {
    this.#options = options
  }

  /** Takes the next bytes of the body; emits data. Throws S3Error. */
  push(bytes: Buffer, emit: (data: Buffer) => void): void {
    let offset = 0
    while (offset < bytes.length) {
      if (this.#state === 'data') {
        const end = Math.min(bytes.length, offset + this.#chunkRemaining)
        const data = bytes.subarray(offset, end)
        this.#chunkHash?.update(data)
        this.#chunkRemaining -= data.length
        this.#decoded += data.length
        offset = end
        if (this.#chunkRemaining === 0) this.#state = 'data-end'
        emit(data)
      } else if (this.#state === 'done') {
        throw malformed('bytes behind the end')
      } else {
        offset = this.#takeLine(bytes, offset)
      }
    }
  }

  /** The body has ended: gives the verified trailers. Throws S3Error if it isn't complete. */
  finish(): ReadonlyMap<string, string> {
    if (this.#state !== 'done') {
      throw new S3Error(
        'IncompleteBody',
        'You did not provide the number of bytes specified by the Content-Length HTTP header',
      )
    }
    return this.#trailers
  }

  #takeLine(bytes: Buffer, offset: number): number {
    const newline = bytes.indexOf(0x0a, offset)
    const end = newline < 0 ? bytes.length : newline + 1
    const limit = this.#state === 'trailer' ? maxTrailerSize : maxChunkHeaderSize
    if (this.#line.length + end - offset > limit) throw malformed('a line is too long')
    this.#line = Buffer.concat([this.#line, bytes.subarray(offset, end)])
    if (newline < 0) return end
    const line = this.#line.toString('latin1')
    this.#line = Buffer.alloc(0)
    if (this.#state === 'trailer') this.#takeTrailerLine(line)
    else this.#takeChunkLine(withoutCrlf(line))
    return end
  }

  #takeChunkLine(line: string): void {
    if (this.#state === 'data-end') {
      if (line !== '') throw malformed('no line end behind the chunk')
      this.#endChunk()
      return
    }
    const { signer, decodedLength } = this.#options
    const pattern = signer
      ? /^([0-9a-fA-F]{1,16});chunk-signature=([0-9a-f]{64})$/
      : /^([0-9a-fA-F]{1,16})$/
    const [, sizeText, signature = ''] = pattern.exec(line) ?? []
    if (sizeText === undefined) throw malformed('a chunk header is malformed')
    const size = parseInt(sizeText, 16)
    if (this.#decoded + size > decodedLength) throw incomplete(decodedLength)
    this.#chunkSignature = signature
    this.#chunkHash = signer ? createHash('sha256') : null
    this.#chunkRemaining = size
    this.#isLastChunk = size === 0
    if (size > 0) {
      this.#state = 'data'
    } else if (this.#options.trailer) {
      this.#verifyChunk()
      this.#endData()
      this.#state = 'trailer'
    } else {
      this.#state = 'data-end'
    }
  }

  #endChunk(): void {
    this.#verifyChunk()
    if (!this.#isLastChunk) {
      this.#state = 'header'
      return
    }
    this.#endData()
    this.#state = 'done'
  }

  #endData(): void {
    if (this.#decoded !== this.#options.decodedLength) throw incomplete(this.#options.decodedLength)
  }

  #verifyChunk(): void {
    if (!this.#options.signer || !this.#chunkHash) return
    const expected = this.#options.signer.sign(this.#chunkHash.digest('hex'))
    if (!isEqual(expected, this.#chunkSignature)) throw signatureMismatch()
  }

  #takeTrailerLine(rawLine: string): void {
    this.#trailerSize += rawLine.length
    if (this.#trailerSize > maxTrailerSize) throw malformed('the trailers are too long')
    if (rawLine === '\r\n') {
      // MinIO's clients end trailer lines with LF and the last of them with LF CRLF.
      if (this.#owesCrlf) this.#owesCrlf = false
      else this.#endTrailers()
      return
    }
    const hasCrlf = rawLine.endsWith('\r\n')
    if (hasCrlf && this.#owesCrlf) throw malformed('a trailer does not end in CRLF')
    this.#owesCrlf = !hasCrlf
    const line = rawLine.slice(0, hasCrlf ? -2 : -1)
    const [, name = '', value = ''] = trailerLine.exec(line) ?? []
    const lowerName = name.toLowerCase()
    if (name === '' || this.#trailers.has(lowerName) || this.#trailers.size >= maxTrailerLines) {
      throw malformed('a trailer is malformed')
    }
    this.#trailers.set(lowerName, value)
    if (lowerName !== trailerSignatureName) this.#trailerLines.push(`${lowerName}:${value}\n`)
  }

  #endTrailers(): void {
    const { signer } = this.#options
    const signature = this.#trailers.get(trailerSignatureName)
    this.#trailers.delete(trailerSignatureName)
    if (signer) {
      const expected = signer.signTrailer(sha256Hex(this.#trailerLines.join('')))
      if (signature === undefined || !isEqual(expected, signature)) throw signatureMismatch()
    } else if (signature !== undefined) {
      throw malformed('a trailer signature where nothing is signed')
    }
    this.#state = 'done'
  }
}

function withoutCrlf(line: string): string {
  if (!line.endsWith('\r\n')) throw malformed('a line does not end in CRLF')
  return line.slice(0, -2)
}

function isEqual(expectedHex: string, givenHex: string): boolean {
  const expected = Buffer.from(expectedHex, 'latin1')
  const given = Buffer.from(givenHex, 'latin1')
  return expected.length === given.length && timingSafeEqual(expected, given)
}

function malformed(what: string): S3Error {
  return new S3Error('InvalidRequest', `The aws-chunked body is malformed: ${what}.`)
}

function incomplete(decodedLength: number): S3Error {
  return new S3Error(
    'IncompleteBody',
    `The aws-chunked body does not have the ${decodedLength} bytes of x-amz-decoded-content-length.`,
  )
}

function signatureMismatch(): S3Error {
  return new S3Error(
    'SignatureDoesNotMatch',
    'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
  )
}
