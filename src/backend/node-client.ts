import http, { type RequestOptions } from 'node:http'
import https from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { writeWhole } from '../http/write-whole.ts'
import type { Logger } from '../observe/logger.ts'
import { SignedChunkEncoder, signedChunksLength } from '../s3/signed-chunks.ts'
import { emptySha256, sha256Hex } from '../sigv4/canonical.ts'
import { signRequest, type SignedRequest } from '../sigv4/sign.ts'
import { BackendExchange } from './backend-exchange.ts'
import {
  BackendError,
  type BackendClient,
  type BackendRequest,
  type BackendResponse,
  type BackendUpload,
} from './client.ts'
import { ChunkedSink } from './chunked-sink.ts'

export interface BackendOptions {
  /** `http://host:port` or `https://host:port`, without a path. */
  readonly endpoint: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly addressing: 'path' | 'virtual'
  /** How uploads are signed: chunk by chunk, or not at all. */
  readonly payload: 'signed-chunks' | 'unsigned'
  readonly tls: { readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer }
  readonly connectTimeoutMs: number
  /** From the end of the request to the head of the answer. */
  readonly responseTimeoutMs: number
  /** Between two bytes of a body, either way. */
  readonly idleTimeoutMs: number
  /** How often a request that failed is sent again. */
  readonly retries: number
  readonly maxConnections: number
}

/** Idle connections are dropped before servers drop them: an upload can't be sent again. */
const freeSocketTimeoutMs = 4_000
const retriedStatuses: ReadonlySet<number> = new Set([429, 500, 502, 503, 504])
const firstBackoffMs = 100

/** The client to the storage over `node:http`. */
export class NodeBackendClient implements BackendClient {
  readonly #options: BackendOptions
  readonly #log: Logger
  readonly #url: URL
  readonly #agent: http.Agent

  constructor(options: BackendOptions, log: Logger) {
    this.#options = options
    this.#log = log
    this.#url = new URL(options.endpoint)
    const pool = {
      keepAlive: true,
      maxSockets: options.maxConnections,
      timeout: freeSocketTimeoutMs,
      scheduling: 'lifo',
    } as const
    this.#agent =
      this.#url.protocol === 'https:'
        ? new https.Agent({ ...pool, ...options.tls, minVersion: 'TLSv1.2' })
        : new http.Agent(pool)
  }

  async send(request: BackendRequest, body: Buffer = Buffer.alloc(0)): Promise<BackendResponse> {
    const payloadHash = body.length === 0 ? emptySha256 : sha256Hex(body)
    for (let attempt = 0; ; attempt += 1) {
      const canRetry = attempt < this.#options.retries && isReplayable(request)
      const signed = this.#sign(request, payloadHash, contentLength(request, body))
      try {
        const exchange = this.#start(request, signed)
        const sink = exchange.sink(body.length)
        writeWhole(sink, body, () => sink.end())
        const response = await exchange.response
        if (!canRetry || !retriedStatuses.has(response.status)) return response
        response.body.abort(new BackendError('PROTOCOL', `backend answered ${response.status}`))
      } catch (error) {
        if (!canRetry || request.signal.aborted || !isRetryable(error)) throw error
        this.#log.debug(
          { err: error, request_id: request.requestId },
          'backend request is repeated',
        )
      }
      await backOff(attempt, request.signal)
    }
  }

  upload(request: BackendRequest, size: number): BackendUpload {
    const isChunked = this.#options.payload === 'signed-chunks'
    const signed = isChunked
      ? this.#sign(request, 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD', {
          'content-length': String(signedChunksLength(size)),
          'x-amz-decoded-content-length': String(size),
        })
      : this.#sign(request, 'UNSIGNED-PAYLOAD', { 'content-length': String(size) })
    const exchange = this.#start(request, signed)
    const length = isChunked ? signedChunksLength(size) : size
    const plainSink = exchange.sink(length)
    const sink = isChunked
      ? new ChunkedSink(plainSink, new SignedChunkEncoder(signed.chunkSigner, size))
      : plainSink
    exchange.response.then(
      (early) =>
        plainSink.refuse(new BackendError('REFUSED', `backend answered ${early.status} early`)),
      // The sink hears of it by the request itself.
      () => undefined,
    )
    return { sink, response: exchange.response }
  }

  close(): Promise<void> {
    this.#agent.destroy()
    return Promise.resolve()
  }

  #sign(
    request: BackendRequest,
    payloadHash: string,
    headers: Record<string, string>,
  ): SignedRequest & { readonly path: string } {
    const { bucket, rawKey, rawQuery } = request
    const isVirtual = this.#options.addressing === 'virtual' && bucket !== null
    const host = isVirtual ? `${bucket}.${this.#url.host}` : this.#url.host
    const prefix = bucket === null || isVirtual ? '' : `/${bucket}`
    const rawPath = rawKey === '' ? prefix || '/' : `${prefix}/${escapeRaw(rawKey)}`
    const signed = signRequest(
      {
        method: request.method,
        rawPath,
        rawQuery: escapeRaw(rawQuery),
        headers: { ...request.headers, ...headers, host },
      },
      { ...this.#options, now: new Date(), payloadHash },
    )
    return { ...signed, path: rawQuery === '' ? rawPath : `${rawPath}?${escapeRaw(rawQuery)}` }
  }

  #start(
    request: BackendRequest,
    signed: SignedRequest & { readonly path: string },
  ): BackendExchange {
    const isTls = this.#url.protocol === 'https:'
    const options: RequestOptions = {
      agent: this.#agent,
      protocol: this.#url.protocol,
      hostname: this.#url.hostname.replace(/^\[|\]$/g, ''),
      port: this.#url.port,
      method: request.method,
      path: signed.path,
      headers: signed.headers,
      setHost: false,
      maxHeaderSize: 64 * 1024,
    }
    const outgoing = isTls ? https.request(options) : http.request(options)
    return new BackendExchange(outgoing, {
      ...this.#options,
      signal: request.signal,
      ready: isTls ? 'secureConnect' : 'connect',
    })
  }
}

/** A backend that didn't answer in time would only be waited for as long again. */
function isRetryable(error: unknown): boolean {
  return error instanceof BackendError && error.code !== 'TIMEOUT'
}

function contentLength(request: BackendRequest, body: Buffer): Record<string, string> {
  const hasBody = body.length > 0 || request.method === 'PUT' || request.method === 'POST'
  return hasBody ? { 'content-length': String(body.length) } : {}
}

/**
 * POST begins or completes uploads: repeating it could do so twice. A conditional write that is
 * repeated after a lost answer would meet its own result.
 */
function isReplayable({ method, headers, rawQuery }: BackendRequest): boolean {
  if (method === 'GET' || method === 'HEAD') return true
  if (method === 'POST') return rawQuery.startsWith('delete')
  return headers['if-match'] === undefined && headers['if-none-match'] === undefined
}

async function backOff(attempt: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(firstBackoffMs * 2 ** attempt * (0.5 + Math.random()), undefined, { signal })
  } catch (cause) {
    throw new BackendError('ABORTED', 'request given up', { cause })
  }
}

/** What `node:http` refuses in a path although clients send it. */
function escapeRaw(raw: string): string {
  return raw.replace(
    /[^!-~]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  )
}
