import type { IncomingMessage } from 'node:http'
import { S3Error } from '../s3/errors.ts'

/**
 * Why it isn't clear which host a request is for or where its body ends (RFC 9112 §3.2 and §6.1);
 * null if it is. Its connection must be closed. What two parsers might read differently, such as
 * several lengths or a length beside a coding, node's parser has refused.
 */
export function framingFault(request: IncomingMessage): S3Error | null {
  const { rawHeaders, headers, httpVersion } = request
  const hosts = rawHeaders.filter((name, i) => i % 2 === 0 && /^host$/i.test(name)).length
  if (hosts > 1 || (hosts === 0 && httpVersion === '1.1')) {
    return new S3Error('BadRequest', 'The request must have one Host header.')
  }
  const coding = headers['transfer-encoding']
  if (coding === undefined || coding.toLowerCase() === 'chunked') return null
  return new S3Error(
    'NotImplemented',
    'A header you provided implies functionality that is not implemented.',
    { fields: { Header: 'Transfer-Encoding' } },
  )
}
