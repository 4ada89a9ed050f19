import { randomBytes } from 'node:crypto'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { authenticate } from '../auth/authenticate.ts'
import type { CredentialStore } from '../auth/credentials.ts'
import type { Logger } from '../observe/logger.ts'
import { BackendFailure } from '../ops/backend-call.ts'
import type { OperationContext, OperationHandler } from '../ops/operation.ts'
import { S3Error } from '../s3/errors.ts'
import { headerMap } from '../s3/headers.ts'
import { route, type OperationName } from '../s3/operations.ts'
import { withPresignedHeaders } from '../s3/presigned-headers.ts'
import { parseTarget, type Target } from '../s3/target.ts'
import { errorDocument } from '../s3/xml.ts'
import { ClientExchange, ClientGoneError } from './client-exchange.ts'
import { describeError } from './error-response.ts'

export interface S3ListenerOptions {
  readonly host: string
  readonly port: number
  readonly region: string
  readonly virtualHostDomains: readonly string[]
  readonly tls: { readonly cert: Buffer; readonly key: Buffer } | null
  readonly limits: {
    readonly maxHeaderSize: number
    readonly maxConnections: number
    readonly maxRequestsInFlight: number
    readonly headerTimeoutMs: number
    readonly idleTimeoutMs: number
    readonly shutdownGraceMs: number
  }
}

export interface S3ListenerParts {
  readonly credentials: CredentialStore
  readonly handlers: ReadonlyMap<OperationName, OperationHandler>
  readonly log: Logger
}

/** Serves S3: one request's life from its head to its answer. */
export class S3Listener {
  readonly #options: S3ListenerOptions
  readonly #parts: S3ListenerParts
  readonly #server: http.Server
  #inFlight = 0

  constructor(options: S3ListenerOptions, parts: S3ListenerParts) {
    this.#options = options
    this.#parts = parts
    const { limits, tls } = options
    const serverOptions = {
      maxHeaderSize: limits.maxHeaderSize,
      headersTimeout: limits.headerTimeoutMs,
      requestTimeout: 0,
      keepAliveTimeout: 65_000,
      connectionsCheckingInterval: 5_000,
      requireHostHeader: true,
    }
    this.#server = tls
      ? https.createServer({ ...serverOptions, ...tls, minVersion: 'TLSv1.2' })
      : http.createServer(serverOptions)
    this.#server.maxConnections = limits.maxConnections
    this.#server.on('request', (request: IncomingMessage, response: ServerResponse) =>
      this.#serve(request, response, { expectsContinue: false }),
    )
    this.#server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) =>
      this.#serve(request, response, { expectsContinue: true }),
    )
    this.#server.on('clientError', answerClientError)
  }

  /** Resolves with the URL once it accepts connections. */
  listen(): Promise<string> {
    const { host, port, tls } = this.#options
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, host, () => {
        const address = this.#server.address() as AddressInfo
        const shown = address.family === 'IPv6' ? `[${address.address}]` : address.address
        resolve(`${tls ? 'https' : 'http'}://${shown}:${address.port}`)
      })
    })
  }

  /** Stops accepting, lets requests in flight finish for the grace time, then breaks them off. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeIdleConnections()
    const timer = setTimeout(
      () => this.#server.closeAllConnections(),
      this.#options.limits.shutdownGraceMs,
    )
    const idle = setInterval(() => this.#server.closeIdleConnections(), 50)
    await closed
    clearTimeout(timer)
    clearInterval(idle)
  }

  #serve(
    request: IncomingMessage,
    response: ServerResponse,
    { expectsContinue }: { expectsContinue: boolean },
  ): void {
    const requestId = randomBytes(8).toString('hex').toUpperCase()
    const { idleTimeoutMs } = this.#options.limits
    const exchange = new ClientExchange(request, response, {
      requestId,
      idleTimeoutMs,
      expectsContinue,
    })
    const abort = new AbortController()
    response.on('close', () => {
      if (!response.writableFinished) abort.abort(new ClientGoneError('client is gone'))
    })
    response.on('error', () => undefined)
    const started = performance.now()
    const seen: SeenRequest = { operation: null, bucket: null, accessKeyId: null }
    this.#inFlight += 1
    this.#handle(request, exchange, { requestId, signal: abort.signal, seen })
      .catch((error: unknown) =>
        this.#answerError(error, exchange, { request, requestId, signal: abort.signal }),
      )
      .finally(() => {
        this.#inFlight -= 1
        this.#parts.log.info(
          {
            request_id: requestId,
            method: request.method,
            operation: seen.operation,
            bucket: seen.bucket,
            access_key_id: seen.accessKeyId,
            status: response.statusCode,
            duration_ms: Math.round(performance.now() - started),
          },
          'request',
        )
      })
  }

  async #handle(
    request: IncomingMessage,
    exchange: ClientExchange,
    { requestId, signal, seen }: { requestId: string; signal: AbortSignal; seen: SeenRequest },
  ): Promise<void> {
    if (this.#inFlight > this.#options.limits.maxRequestsInFlight) {
      throw new S3Error('SlowDown', 'Please reduce your request rate.')
    }
    const sentHeaders = headerMap(request.rawHeaders)
    const target = parseTarget(request.url ?? '', {
      host: sentHeaders.get('host'),
      virtualHostDomains: this.#options.virtualHostDomains,
    })
    seen.bucket = target.bucket
    const method = request.method ?? ''
    const { caller, payload } = authenticate(
      { method, target, headers: sentHeaders },
      { credentials: this.#parts.credentials, region: this.#options.region, now: new Date() },
    )
    seen.accessKeyId = caller.accessKeyId
    const headers = withPresignedHeaders(sentHeaders, target)
    const operation = route({ method, target, headers })
    seen.operation = operation
    const handler = this.#parts.handlers.get(operation)
    if (!handler)
      throw new S3Error('NotImplemented', `${operation} is not supported by this proxy.`)
    const context: OperationContext = {
      requestId,
      operation,
      method,
      target,
      headers,
      caller,
      payload,
      signal,
      log: withRequestId(this.#parts.log, requestId),
      body: exchange,
      response: exchange,
      describeError: (error) => this.#lateErrorDocument(error, { target, requestId }),
    }
    await handler(context)
  }

  #answerError(
    error: unknown,
    exchange: ClientExchange,
    about: { request: IncomingMessage; requestId: string; signal: AbortSignal },
  ): void {
    const { request, requestId, signal } = about
    if (signal.aborted || error instanceof ClientGoneError) {
      this.#parts.log.debug({ request_id: requestId, err: error }, 'client is gone')
      exchange.destroy()
      return
    }
    this.#logError(error, requestId)
    if (exchange.started) {
      exchange.destroy()
      return
    }
    if (error instanceof BackendFailure) {
      const { status, headers, body } = error.response
      exchange.send(status, headers, body)
      return
    }
    const { s3 } = describeError(error)
    const resource = request.url?.split('?', 1)[0] ?? ''
    exchange.send(
      s3.status,
      { 'content-type': 'application/xml', ...s3.headers },
      errorDocument(s3, { resource, requestId }),
    )
  }

  #lateErrorDocument(error: unknown, about: { target: Target; requestId: string }): string {
    this.#logError(error, about.requestId)
    if (error instanceof BackendFailure) return error.response.body.toString('utf8')
    const { s3 } = describeError(error)
    return errorDocument(s3, { resource: about.target.rawPath, requestId: about.requestId })
  }

  #logError(error: unknown, requestId: string): void {
    if (error instanceof BackendFailure) return
    const { s3, severity } = describeError(error)
    const fields = { request_id: requestId, code: s3.code, err: error }
    if (severity === 'caller') this.#parts.log.debug(fields, 'request refused')
    else if (severity === 'outside') this.#parts.log.warn(fields, 'request failed')
    else this.#parts.log.error(fields, 'request failed')
  }
}

interface SeenRequest {
  operation: OperationName | null
  bucket: string | null
  accessKeyId: string | null
}

function withRequestId(log: Logger, requestId: string): Logger {
  const add = (fields: object) => ({ request_id: requestId, ...fields })
  return {
    debug: (fields, message) => log.debug(add(fields), message),
    info: (fields, message) => log.info(add(fields), message),
    warn: (fields, message) => log.warn(add(fields), message),
    error: (fields, message) => log.error(add(fields), message),
  }
}

/** What the HTTP parser refuses never becomes a request; the answer is as near to S3's as can be. */
function answerClientError(error: Error & { code?: string }, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const s3 =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? new S3Error(
          'RequestHeaderSectionTooLarge',
          'Your request header section exceeds the maximum allowed size.',
        )
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? new S3Error('RequestTimeout', 'Your request was not received within the timeout period.')
        : new S3Error('BadRequest', 'The request is not well-formed HTTP.')
  const body = errorDocument(s3, { resource: '', requestId: '' })
  socket.end(
    `HTTP/1.1 ${s3.status} Bad Request\r\ncontent-type: application/xml\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  )
}
