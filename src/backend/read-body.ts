import type { ByteSource } from '../stream/bytes.ts'
import { BackendError, type BackendResponse } from './client.ts'

/** Reads a whole answer of at most `maxSize` bytes. Throws BackendError. */
export function readBody(response: BackendResponse, maxSize: number): Promise<Buffer> {
  return collectBytes(response.body, maxSize)
}

function collectBytes(source: ByteSource, maxSize: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = []
    let size = 0
    source.deliver({
      chunk(bytes) {
        size += bytes.length
        if (size > maxSize) {
          const error = new BackendError('PROTOCOL', `backend answered more than ${maxSize} bytes`)
          source.abort(error)
          reject(error)
          return
        }
        pieces.push(Buffer.from(bytes))
      },
      end: () => resolve(Buffer.concat(pieces)),
      error: reject,
    })
  })
}
