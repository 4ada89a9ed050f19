import { Agent, request, type IncomingMessage } from 'node:http'
import { signRequest } from '../src/sigv4/sign.ts'

export interface Target {
  readonly endpoint: string
  /** What the Host header says: that of the server that verifies the signature. */
  readonly host: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

const agent = new Agent({ keepAlive: true, maxSockets: 256 })
const piece = Buffer.alloc(256 * 1024, 0x5a)

/** Sends one signed request and reads the answer to its end; gives the number of body bytes. */
export function send(
  target: Target,
  call: {
    readonly method: string
    readonly path: string
    readonly size?: number
    readonly range?: string
  },
): Promise<number> {
  const size = call.size ?? 0
  const { headers } = signRequest(
    {
      method: call.method,
      rawPath: call.path,
      rawQuery: '',
      headers: { host: target.host, ...(call.range ? { range: call.range } : {}) },
    },
    { ...target, region: 'us-east-1', now: new Date(), payloadHash: 'UNSIGNED-PAYLOAD' },
  )
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(target.endpoint)
    const outgoing = request(
      {
        agent,
        hostname,
        port,
        method: call.method,
        path: call.path,
        headers: { ...headers, ...(call.method === 'PUT' ? { 'content-length': size } : {}) },
      },
      (response: IncomingMessage) => {
        let received = 0
        response.on('data', (chunk: Buffer) => {
          received += chunk.length
        })
        response.on('error', reject)
        response.on('end', () => {
          const status = response.statusCode ?? 0
          if (status < 300) resolve(received)
          else reject(new Error(`${call.method} ${call.path} on ${target.endpoint}: ${status}`))
        })
      },
    )
    outgoing.on('error', reject)
    writeBody(outgoing, size)
  })
}

function writeBody(outgoing: ReturnType<typeof request>, size: number): void {
  let left = size
  const write = (): void => {
    while (left > 0) {
      const part = piece.subarray(0, Math.min(left, piece.length))
      left -= part.length
      if (!outgoing.write(part)) {
        outgoing.once('drain', write)
        return
      }
    }
    outgoing.end()
  }
  write()
}

/** Runs `count` calls, `parallel` at a time. */
export async function repeat(
  count: number,
  parallel: number,
  call: (index: number) => Promise<unknown>,
): Promise<void> {
  const indexes = Array.from({ length: count }, (_, i) => i).values()
  const worker = async (): Promise<void> => {
    for (const index of indexes) await call(index)
  }
  await Promise.all(Array.from({ length: parallel }, worker))
}
