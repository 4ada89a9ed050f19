import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface TappedRequest {
  readonly method: string
  readonly url: string
}

/** What a tap does to one request; by default it passes. */
export interface TapFault {
  /** Destroys both connections once this many request body bytes have passed. */
  readonly cutRequestAfter?: number
  /** Destroys both connections once this many response body bytes have passed. */
  readonly cutResponseAfter?: number
}

/**
 * Stands between the proxy and a backend: counts the requests that pass and breaks some of them.
 * The Host header passes unchanged, so signatures stay good.
 */
export class BackendTap {
  readonly requests: TappedRequest[] = []
  /** Decides about each request. */
  fault: (request: TappedRequest) => TapFault | null = () => null
  readonly #server: Server
  readonly #target: URL

  private constructor(target: string) {
    this.#target = new URL(target)
    this.#server = createServer((incoming, outgoing) => {
      const tapped = { method: incoming.method ?? '', url: incoming.url ?? '' }
      this.requests.push(tapped)
      const fault = this.fault(tapped)
      const upstream = httpRequest({
        host: this.#target.hostname,
        port: this.#target.port,
        method: tapped.method,
        path: tapped.url,
        headers: incoming.rawHeaders,
        setHost: false,
      })
      const cut = (): void => {
        incoming.socket.destroy()
        upstream.destroy()
      }
      upstream.on('error', () => outgoing.destroy())
      upstream.on('response', (response) => {
        outgoing.writeHead(response.statusCode ?? 502, response.rawHeaders)
        countTo(response, fault?.cutResponseAfter, cut)
        response.on('error', () => outgoing.destroy())
        response.pipe(outgoing)
      })
      incoming.on('error', () => upstream.destroy())
      incoming.on('close', () => {
        if (!incoming.complete) upstream.destroy()
      })
      countTo(incoming, fault?.cutRequestAfter, cut)
      incoming.pipe(upstream)
    })
  }

  static async start(target: string): Promise<BackendTap> {
    const tap = new BackendTap(target)
    await new Promise<void>((resolve) => tap.#server.listen(0, '127.0.0.1', resolve))
    return tap
  }

  get endpoint(): string {
    const address = this.#server.address() as AddressInfo
    return `http://127.0.0.1:${address.port}`
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

function countTo(body: IncomingMessage, limit: number | undefined, reached: () => void): void {
  if (limit === undefined) return
  let seen = 0
  body.on('data', (chunk: Buffer) => {
    seen += chunk.length
    if (seen >= limit) reached()
  })
}
