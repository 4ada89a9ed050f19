import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Dek } from '../stream/dek.ts'
import { AuthenticationError, FormatError } from '../stream/errors.ts'
import { decodeBase64url } from './base64url.ts'
import { marshalEnvelope, parseEnvelope, type Envelope } from './envelope.ts'
import { lengthPrefixed } from './place.ts'

const tokenVersion = 1
const macSize = 32
const maxTokenLength = 8192

/** What an upload id that clients see stands for (`docs/format.md` §5). */
export interface UploadToken {
  readonly backendUploadId: string
  readonly envelope: Envelope
}

/** A parsed token whose MAC hasn't been verified yet, since that needs the DEK in its envelope. */
export interface UnverifiedUploadToken extends UploadToken {
  /** Throws AuthenticationError unless the token was made with this DEK. */
  verify(dek: Dek): void
}

export function marshalUploadToken(token: UploadToken, dek: Dek): string {
  const body = Buffer.concat([
    Buffer.of(tokenVersion),
    lengthPrefixed(token.backendUploadId),
    lengthPrefixed(marshalEnvelope(token.envelope)),
  ])
  return Buffer.concat([body, tokenMac(body, dek)]).toString('base64url')
}

/** Throws FormatError if the text isn't a well-formed token. */
export function parseUploadToken(text: string): UnverifiedUploadToken {
  if (text.length > maxTokenLength) throw new FormatError('upload token: too long')
  const bytes = decodeBase64url(text, 'upload token')
  const body = bytes.subarray(0, -macSize)
  const mac = bytes.subarray(-macSize)
  if (body[0] !== tokenVersion) throw new FormatError('upload token: unknown version')
  const [backendUploadId, afterId] = readPrefixed(body, 1)
  const [envelopeText, end] = readPrefixed(body, afterId)
  if (end !== body.length) throw new FormatError('upload token: bytes behind its end')
  const envelope = parseEnvelope(envelopeText)
  if (envelope.layout !== 'multipart') throw new FormatError('upload token: wrong layout')
  return {
    backendUploadId,
    envelope,
    verify(dek) {
      const expected = tokenMac(body, dek)
      if (mac.length !== macSize || !timingSafeEqual(mac, expected)) {
        throw new AuthenticationError("upload token: MAC doesn't verify")
      }
    },
  }
}

function tokenMac(body: Buffer, dek: Dek): Buffer {
  return createHmac('sha256', dek.uploadTokenKey()).update(body).digest()
}

function readPrefixed(bytes: Buffer, offset: number): [text: string, end: number] {
  if (offset + 4 > bytes.length) throw new FormatError('upload token: too short')
  const start = offset + 4
  const end = start + bytes.readUInt32BE(offset)
  if (end > bytes.length) throw new FormatError('upload token: too short')
  const text = bytes.toString('utf8', start, end)
  if (!Buffer.from(text, 'utf8').equals(bytes.subarray(start, end))) {
    throw new FormatError('upload token: not UTF-8')
  }
  return [text, end]
}
