import type { Duplex } from 'node:stream'
import { S3Error } from '../s3/errors.ts'
import { errorDocument } from '../s3/xml.ts'

/** How long bytes that no one can read any more are still taken after the answer. */
const lingerMs = 2_000

/** What the HTTP parser refused, as near to S3's errors as can be. */
export function malformedRequest(error: { readonly code?: string }): S3Error {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return new S3Error(
        'RequestHeaderSectionTooLarge',
        'Your request header section exceeds the maximum allowed size.',
      )
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new S3Error(
        'RequestTimeout',
        'Your request was not received within the timeout period.',
      )
    default:
      return new S3Error('BadRequest', 'The request is not well-formed HTTP.')
  }
}

/**
 * Answers on a connection whose request never became one, and closes it. The client may still be
 * sending, and closing with bytes unread would reset the connection under the answer.
 */
export function refuseConnection(socket: Duplex, s3: S3Error): void {
  const body = errorDocument(s3, { resource: '', requestId: '' })
  socket.end(
    `HTTP/1.1 ${s3.status} Bad Request\r\ncontent-type: application/xml\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  )
  const timer = setTimeout(() => socket.destroy(), lingerMs)
  socket.on('close', () => clearTimeout(timer))
}
