import { FormatError } from '../stream/errors.ts'

/** Decodes canonical base64url without padding (RFC 4648 §5). Throws FormatError on anything else. */
export function decodeBase64url(text: string, what: string): Buffer {
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.toString('base64url') !== text)
    throw new FormatError(`${what}: not canonical base64url`)
  return bytes
}
