import { once } from 'node:events'
import net, { type Socket } from 'node:net'
import { signRequest } from '../../src/sigv4/sign.ts'

/** The key pair that signs {@link signedHead}. */
export const testKeys = { accessKeyId: 'client', secretAccessKey: 'client secret' } as const

export interface SignedHeadOptions {
  readonly headers?: Record<string, string>
  /** Lines that aren't signed, as they stand on the wire. */
  readonly lines?: readonly string[]
  readonly payloadHash?: string
}

/** The head of a signed request on a path-style URL, with the empty line. */
export function signedHead(method: string, path: string, options: SignedHeadOptions = {}): string {
  const [rawPath = '', rawQuery = ''] = path.split('?', 2)
  const { headers } = signRequest(
    { method, rawPath, rawQuery, headers: { host: '127.0.0.1', ...options.headers } },
    {
      ...testKeys,
      region: 'us-east-1',
      now: new Date(),
      payloadHash: options.payloadHash ?? 'UNSIGNED-PAYLOAD',
    },
  )
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  return `${[`${method} ${path} HTTP/1.1`, ...lines, ...(options.lines ?? [])].join('\r\n')}\r\n\r\n`
}

/** A connection that sends what it is told to, byte for byte, and keeps all that comes back. */
export class RawClient {
  readonly socket: Socket
  #received = Buffer.alloc(0)
  /** Why the connection is over; null while it is open. */
  end: 'clean' | 'broken' | null = null

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => {
      this.end = 'broken'
    })
    socket.on('end', () => {
      this.end ??= 'clean'
    })
    socket.on('close', () => {
      this.end ??= 'broken'
    })
    socket.on('data', (bytes: Buffer) => {
      this.#received = Buffer.concat([this.#received, bytes])
    })
  }

  static async connect(url: string): Promise<RawClient> {
    const socket = net.connect({ port: Number(new URL(url).port), host: '127.0.0.1' })
    await once(socket, 'connect')
    return new RawClient(socket)
  }

  /** All that came, one char a byte. */
  get text(): string {
    return this.#received.toString('latin1')
  }

  get size(): number {
    return this.#received.length
  }
}

export interface RawAnswer {
  readonly status: number
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
  /** True if the body has all bytes that the head announces. */
  readonly isWhole: boolean
  /** What comes behind this answer. */
  readonly rest: string
}

/** The first final answer in `text`; null if its head isn't complete yet. */
export function parseAnswer(text: string, options: { method?: string } = {}): RawAnswer | null {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return null
  const [statusLine = '', ...lines] = text.slice(0, end).split('\r\n')
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(statusLine)?.[1])
  const after = text.slice(end + 4)
  if (status < 200) return parseAnswer(after, options)
  const headers = new Map(
    lines.map((line): [string, string] => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
    }),
  )
  if (options.method === 'HEAD' || status === 204 || status === 304) {
    return { status, headers, body: '', isWhole: true, rest: after }
  }
  if (headers.get('transfer-encoding') === 'chunked') return { status, headers, ...dechunk(after) }
  const length = Number(headers.get('content-length'))
  const body = after.slice(0, length)
  return { status, headers, body, isWhole: body.length === length, rest: after.slice(length) }
}

function dechunk(text: string): { body: string; isWhole: boolean; rest: string } {
  let body = ''
  for (let offset = 0; ;) {
    const lineEnd = text.indexOf('\r\n', offset)
    if (lineEnd < 0) return { body, isWhole: false, rest: '' }
    const size = Number.parseInt(text.slice(offset, lineEnd), 16)
    const start = lineEnd + 2
    if (size === 0) {
      const isWhole = text.startsWith('\r\n', start)
      return { body, isWhole, rest: text.slice(start + 2) }
    }
    body += text.slice(start, start + size)
    offset = start + size + 2
  }
}
