import { createHash } from 'node:crypto'
import { expect } from 'vitest'
import { createChecksum, type ChecksumAlgorithm } from '../../src/checksum/checksum.ts'
import { S3Error } from '../../src/s3/errors.ts'
import type { PayloadMode } from '../../src/s3/payload-mode.ts'
import { UploadBody, type VerifiedBody } from '../../src/s3/upload-body.ts'
import { frame } from './chunked-bodies.ts'

export const data = Buffer.from('the quick brown fox jumps over the lazy dog')
export const other = Buffer.from('the quick brown fox jumps over the lazy cat')
export const unsigned: PayloadMode = { kind: 'unsigned' }
export const trailing: PayloadMode = { kind: 'aws-chunked', signer: null, trailer: true }

export function checksumOf(algorithm: ChecksumAlgorithm, bytes = data): string {
  const checksum = createChecksum(algorithm)
  checksum.update(bytes)
  return checksum.digest().toString('base64')
}

export function header(algorithm: string): string {
  return `x-amz-checksum-${algorithm.toLowerCase()}`
}

export function md5(bytes: Buffer): string {
  return createHash('md5').update(bytes).digest('base64')
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

export interface Upload {
  readonly headers?: Readonly<Record<string, string>>
  readonly payload?: PayloadMode
  readonly contentLength?: number | null
  readonly body?: Buffer
}

export interface Outcome {
  readonly plain: Buffer
  readonly verified: VerifiedBody
}

/** Takes the body in two pieces and then its end. */
export function upload(options: Upload): Outcome {
  const { headers = {}, payload = unsigned, body = data, contentLength = body.length } = options
  const subject = new UploadBody({
    headers: new Map(Object.entries(headers)),
    payload,
    contentLength,
  })
  const plain: Buffer[] = []
  for (const piece of [body.subarray(0, 7), body.subarray(7)]) {
    subject.push(piece, (bytes) => plain.push(Buffer.from(bytes)))
  }
  const verified = subject.finish()
  expect(subject.plaintextSize).toBe(Buffer.concat(plain).length)
  return { plain: Buffer.concat(plain), verified }
}

/** A body with these trailers, unsigned, and the headers that belong to it. */
export function chunked(
  trailers: readonly string[],
  headers: Readonly<Record<string, string>>,
): Upload {
  return {
    payload: trailing,
    contentLength: null,
    body: frame([data], { signed: false, trailers }),
    headers: { 'x-amz-decoded-content-length': String(data.length), ...headers },
  }
}

export function refusal(options: Upload): S3Error {
  try {
    upload(options)
  } catch (error) {
    if (error instanceof S3Error) return error
    throw error
  }
  return expect.fail('the body was accepted')
}
