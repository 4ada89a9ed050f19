import { timingSafeEqual } from 'node:crypto'
import {
  checksumAlgorithms,
  checksumSizes,
  createChecksum,
  createCryptoHash,
  type ChecksumAlgorithm,
  type IncrementalHash,
} from '../checksum/checksum.ts'
import { AwsChunkedDecoder } from './aws-chunked.ts'
import { S3Error } from './errors.ts'
import type { HeaderMap } from './headers.ts'
import type { PayloadMode } from './payload-mode.ts'

export interface UploadBodyOptions {
  readonly headers: HeaderMap
  readonly payload: PayloadMode
  /** The declared content-length; null if there is none. */
  readonly contentLength: number | null
}

/** What was verified about a body. */
export interface VerifiedBody {
  /** The checksum that the client asked for, of the whole plaintext. */
  readonly checksum: { readonly algorithm: ChecksumAlgorithm; readonly value: Buffer } | null
}

/**
 * Decodes an upload's body and verifies all that the client states about it: payload hash, chunk
 * signatures, Content-MD5, checksum headers and trailers, lengths. Only what is asked for is hashed.
 */
export class UploadBody {
  readonly plaintextSize: number
  readonly #decoder: AwsChunkedDecoder | null
  readonly #checks: readonly { readonly hash: IncrementalHash; verify(digest: Buffer): void }[]
  readonly #checksum: {
    algorithm: ChecksumAlgorithm
    hash: IncrementalHash
    expected: Buffer | null
  } | null
  #received = 0

  /** Throws S3Error for what can't be right before the body is read. */
  constructor({ headers, payload, contentLength }: UploadBodyOptions) {
    const isChunked = payload.kind === 'aws-chunked'
    if (!isChunked && headers.has('x-amz-decoded-content-length')) {
      // Its framing would be stored as if it were data.
      throw new S3Error(
        'InvalidRequest',
        'x-amz-decoded-content-length needs a STREAMING-… value of x-amz-content-sha256.',
      )
    }
    this.plaintextSize = isChunked ? decodedLength(headers) : requiredLength(contentLength)
    this.#decoder = isChunked
      ? new AwsChunkedDecoder({ ...payload, decodedLength: this.plaintextSize })
      : null
    this.#checks = [md5Check(headers), payloadCheck(payload)].filter((check) => check !== null)
    this.#checksum = requestedChecksum(headers, isChunked && payload.trailer)
  }

  /** Takes the next bytes of the body; emits plaintext, valid during the call only. */
  push(bytes: Buffer, emit: (plain: Buffer) => void): void {
    if (this.#decoder) this.#decoder.push(bytes, (data) => this.#take(data, emit))
    else this.#take(bytes, emit)
  }

  /** The body has ended. Throws S3Error unless everything is as stated. */
  finish(): VerifiedBody {
    const trailers = this.#decoder?.finish() ?? new Map<string, string>()
    if (this.#received !== this.plaintextSize) throw incompleteBody()
    for (const check of this.#checks) check.verify(check.hash.digest())
    const announced = this.#checksum?.expected === null ? this.#checksum.algorithm : null
    checkTrailerNames(trailers, announced)
    if (!this.#checksum) return { checksum: null }
    const { algorithm, hash } = this.#checksum
    const name = checksumHeader(algorithm)
    const expected = this.#checksum.expected ?? parseChecksum(name, trailers.get(name), algorithm)
    const value = hash.digest()
    if (!timingSafeEqual(value, expected)) {
      throw new S3Error(
        'BadDigest',
        `The ${algorithm} you specified did not match the calculated checksum.`,
      )
    }
    return { checksum: { algorithm, value } }
  }

  #take(plain: Buffer, emit: (plain: Buffer) => void): void {
    this.#received += plain.length
    if (this.#received > this.plaintextSize) throw incompleteBody()
    for (const { hash } of this.#checks) hash.update(plain)
    this.#checksum?.hash.update(plain)
    emit(plain)
  }
}

function decodedLength(headers: HeaderMap): number {
  const text = headers.get('x-amz-decoded-content-length') ?? ''
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new S3Error(
    'MissingContentLength',
    'You must provide the x-amz-decoded-content-length HTTP header.',
  )
}

function requiredLength(contentLength: number | null): number {
  if (contentLength !== null) return contentLength
  throw new S3Error('MissingContentLength', 'You must provide the Content-Length HTTP header.')
}

function incompleteBody(): S3Error {
  return new S3Error(
    'IncompleteBody',
    'You did not provide the number of bytes specified by the Content-Length HTTP header',
  )
}

function md5Check(headers: HeaderMap) {
  const text = headers.get('content-md5')
  if (text === undefined) return null
  const expected = Buffer.from(text, 'base64')
  if (expected.length !== 16 || expected.toString('base64') !== text) {
    throw new S3Error('InvalidDigest', 'The Content-MD5 you specified was invalid.', {
      fields: { 'Content-MD5': text },
    })
  }
  return {
    hash: createCryptoHash('md5'),
    verify(digest: Buffer) {
      if (timingSafeEqual(digest, expected)) return
      throw new S3Error(
        'BadDigest',
        'The Content-MD5 you specified did not match what we received.',
        { fields: { ExpectedDigest: text, CalculatedDigest: digest.toString('base64') } },
      )
    },
  }
}

function payloadCheck(payload: PayloadMode) {
  if (payload.kind !== 'sha256') return null
  return {
    hash: createCryptoHash('sha256'),
    verify(digest: Buffer) {
      if (digest.toString('hex') === payload.hex) return
      throw new S3Error(
        'XAmzContentSHA256Mismatch',
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
        {
          fields: {
            ClientComputedContentSHA256: payload.hex,
            S3ComputedContentSHA256: digest.toString('hex'),
          },
        },
      )
    },
  }
}

function checksumHeader(algorithm: ChecksumAlgorithm): string {
  return `x-amz-checksum-${algorithm.toLowerCase()}`
}

function requestedChecksum(headers: HeaderMap, hasTrailer: boolean) {
  if (!hasTrailer && headers.has('x-amz-trailer')) {
    throw new S3Error('InvalidRequest', 'x-amz-trailer needs a body that is sent with trailers.')
  }
  const inHeaders = checksumAlgorithms.filter((name) => headers.has(checksumHeader(name)))
  const announced = hasTrailer ? trailerAlgorithms(headers) : []
  const [algorithm, second] = [...inHeaders, ...announced]
  if (second !== undefined) {
    throw new S3Error(
      'InvalidRequest',
      'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
    )
  }
  checkStatedAlgorithm(headers, algorithm)
  if (algorithm === undefined) return null
  const name = checksumHeader(algorithm)
  const expected = headers.has(name) ? parseChecksum(name, headers.get(name), algorithm) : null
  return { algorithm, hash: createChecksum(algorithm), expected }
}

function trailerAlgorithms(headers: HeaderMap): ChecksumAlgorithm[] {
  const names = (headers.get('x-amz-trailer') ?? '')
    .split(',')
    .map((name) => name.trim().toLowerCase())
  return names
    .filter((name) => name !== '')
    .map((name) => {
      const algorithm = checksumAlgorithms.find((candidate) => checksumHeader(candidate) === name)
      if (algorithm) return algorithm
      throw new S3Error(
        'InvalidRequest',
        'The value specified in the x-amz-trailer header is not supported',
      )
    })
}

/** A trailer that wasn't announced isn't verified: it is refused rather than passed over. */
function checkTrailerNames(
  trailers: ReadonlyMap<string, string>,
  announced: ChecksumAlgorithm | null,
): void {
  for (const name of trailers.keys()) {
    if (announced && name === checksumHeader(announced)) continue
    throw new S3Error('InvalidRequest', `The trailer ${name} was not announced in x-amz-trailer.`)
  }
}

/** `x-amz-sdk-checksum-algorithm` promises a checksum by header or trailer. */
function checkStatedAlgorithm(headers: HeaderMap, algorithm: ChecksumAlgorithm | undefined): void {
  const stated = headers.get('x-amz-sdk-checksum-algorithm')?.toUpperCase()
  if (stated === undefined || stated === algorithm) return
  throw new S3Error(
    'InvalidRequest',
    algorithm === undefined
      ? 'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.'
      : 'Value for x-amz-sdk-checksum-algorithm header is invalid.',
  )
}

function parseChecksum(
  name: string,
  text: string | undefined,
  algorithm: ChecksumAlgorithm,
): Buffer {
  const value = Buffer.from(text ?? '', 'base64')
  if (value.length !== checksumSizes[algorithm] || value.toString('base64') !== text) {
    throw new S3Error('InvalidRequest', `Value for ${name} header is invalid.`)
  }
  return value
}
