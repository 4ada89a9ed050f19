import { randomBytes } from 'node:crypto'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import https from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { authenticate } from '../auth/authenticate.ts'
import type { CredentialStore } from '../auth/credentials.ts'
import type { Logger } from '../observe/logger.ts'
import { BackendFailure } from '../ops/backend-call.ts'
import type { OperationContext, OperationHandler } from '../ops/operation.ts'
import { S3Error } from '../s3/errors.ts'
import { headerMap } from '../s3/headers.ts'
import { readHoistedHeaders } from '../s3/hoisted-headers.ts'
import { route, type OperationName } from '../s3/operations.ts'
import { parseTarget, type Target } from '../s3/target.ts'
import { errorDocument } from '../s3/xml.ts'
import { ClientExchange, ClientGoneError } from './client-exchange.ts'
import { describeError } from './error-response.ts'
import { framingFault } from './framing.ts'
import { malformedRequest, refuseConnection } from './malformed-request.ts'
import type { RequestLife, SeenRequest } from './request-life.ts'
import { requestLogger } from './request-logger.ts'
import { RequestTurns, whenAnswered } from './request-turns.ts'
import { resetConnection } from './reset-connection.ts'

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
  readonly #sockets = new Set<Socket>()
  /** The request of each connection that came last, until its answer is out. */
  readonly #lastRequests = new WeakMap<Duplex, OpenRequest>()
  readonly #turns = new RequestTurns()
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
      // Ours says so in S3's way.
      requireHostHeader: false,
    }
    this.#server = tls
      ? https.createServer({
          ...serverOptions,
          ...tls,
          handshakeTimeout: limits.headerTimeoutMs,
          minVersion: 'TLSv1.2',
        })
      : http.createServer(serverOptions)
    this.#server.maxConnections = limits.maxConnections
    this.#server.on('request', (request: IncomingMessage, response: ServerResponse) =>
      this.#serve(request, response, { expectsContinue: false }),
    )
    this.#server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) =>
      this.#serve(request, response, { expectsContinue: true }),
    )
    this.#server.on('clientError', (error: Error & { code?: string }, socket: Duplex) =>
      this.#refuseMalformed(error, socket),
    )
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
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
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy()
    }, this.#options.limits.shutdownGraceMs)
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
    const abort = this.#watch(request, response)
    const fault = framingFault(request)
    const answered = whenAnswered(request.socket, response)
    const exchange = new ClientExchange(request, response, {
      requestId,
      idleTimeoutMs: this.#options.limits.idleTimeoutMs,
      expectsContinue,
      signal: abort.signal,
      isClosing: () => fault !== null || !this.#server.listening,
    })
    const started = performance.now()
    const seen: SeenRequest = { operation: null, bucket: null, accessKeyId: null, errorCode: null }
    const life = { requestId, signal: abort.signal, seen }
    this.#inFlight += 1
    this.#turns
      .take(request.socket, answered)
      .then(() => {
        if (fault) throw fault
        return this.#handle(request, exchange, life)
      })
      .catch((error: unknown) => this.#answerError(error, exchange, { request, ...life }))
      .catch((error: unknown) => {
        this.#parts.log.error({ request_id: requestId, err: error }, 'no answer could be sent')
        exchange.destroy()
      })
      .finally(() => {
        this.#inFlight -= 1
        this.#parts.log.info(
          {
            request_id: requestId,
            method: request.method,
            operation: seen.operation,
            bucket: seen.bucket,
            access_key_id: seen.accessKeyId,
            status: response.headersSent ? response.statusCode : null,
            error_code: seen.errorCode,
            duration_ms: Math.round(performance.now() - started),
          },
          'request',
        )
      })
  }

  /** Follows a request until its answer is out; the controller aborts what is done for it. */
  #watch(request: IncomingMessage, response: ServerResponse): AbortController {
    const abort = new AbortController()
    const { socket } = request
    const gone = (cause?: Error): void =>
      abort.abort(new ClientGoneError('client is gone', { cause }))
    const open = { response, abort }
    this.#lastRequests.set(socket, open)
    response.on('close', () => {
      if (this.#lastRequests.get(socket) === open) this.#lastRequests.delete(socket)
      if (!response.writableFinished) gone()
    })
    // Answers that wait for earlier ones on their connection aren't told of its end.
    request.on('error', gone)
    response.on('error', gone)
    return abort
  }

  #refuseMalformed(error: Error & { code?: string }, socket: Duplex): void {
    const open = this.#lastRequests.get(socket)
    const isGone = error.code === 'ECONNRESET' || error.code === 'HPE_INVALID_EOF_STATE'
    if (open && !open.response.headersSent && !isGone) {
      // The body is at fault: the operation gives up, and its answer is this error.
      open.abort.abort(malformedRequest(error))
    } else if (open || isGone || socket.destroyed) resetConnection(socket)
    else if (!socket.writableEnded) {
      const s3 = malformedRequest(error)
      refuseConnection(socket, s3)
      this.#parts.log.info({ error_code: s3.code, reason: error.code }, 'connection refused')
    }
  }

  async #handle(
    request: IncomingMessage,
    exchange: ClientExchange,
    { requestId, signal, seen }: RequestLife,
  ): Promise<void> {
    if (this.#inFlight > this.#options.limits.maxRequestsInFlight) {
      throw new S3Error('SlowDown', 'Please reduce your request rate.', {
        headers: { 'retry-after': '1' },
      })
    }
    const rawHeaders = headerMap(request.rawHeaders)
    const rawTarget = parseTarget(request.url ?? '', {
      host: rawHeaders.get('host'),
      virtualHostDomains: this.#options.virtualHostDomains,
    })
    seen.bucket = rawTarget.bucket
    const method = request.method ?? ''
    const { caller, payload } = authenticate(
      { method, target: rawTarget, headers: rawHeaders },
      { credentials: this.#parts.credentials, region: this.#options.region, now: new Date() },
    )
    seen.accessKeyId = caller.accessKeyId
    const { target, headers } = readHoistedHeaders({ target: rawTarget, headers: rawHeaders })
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
      log: requestLogger(this.#parts.log, requestId),
      body: exchange,
      response: exchange,
      describeError: (error) => this.#lateErrorDocument(error, { target, requestId, seen }),
    }
    await handler(context)
    if (!exchange.started || exchange.isLeftOpen) {
      throw new Error(`${operation} ended without a whole answer`)
    }
  }

  #answerError(
    error: unknown,
    exchange: ClientExchange,
    about: RequestLife & { readonly request: IncomingMessage },
  ): void {
    const { request, requestId, signal } = about
    // What fails after the signal fails for its reason.
    const reason: unknown = signal.aborted ? signal.reason : error
    if (reason instanceof ClientGoneError) {
      this.#parts.log.debug({ request_id: requestId, err: error }, 'client is gone')
      exchange.destroy()
      return
    }
    this.#logError(reason, about)
    if (exchange.started) {
      exchange.destroy()
      return
    }
    if (reason instanceof BackendFailure) {
      const { status, headers, body } = reason.response
      exchange.send(status, headers, body)
      return
    }
    const { s3 } = describeError(reason)
    const resource = request.url?.split('?', 1)[0] ?? ''
    exchange.send(
      s3.status,
      { 'content-type': 'application/xml', ...s3.headers },
      errorDocument(s3, { resource, requestId }),
    )
  }

  #lateErrorDocument(error: unknown, about: LateError): string {
    this.#logError(error, about)
    if (error instanceof BackendFailure) return error.response.body.toString('utf8')
    const { s3 } = describeError(error)
    return errorDocument(s3, { resource: about.target.rawPath, requestId: about.requestId })
  }

  #logError(error: unknown, { requestId, seen }: Omit<RequestLife, 'signal'>): void {
    if (error instanceof BackendFailure) {
      seen.errorCode = error.code
      return
    }
    const { s3, severity } = describeError(error)
    seen.errorCode = s3.code
    const fields = { request_id: requestId, code: s3.code, err: error }
    if (severity === 'caller') this.#parts.log.debug(fields, 'request refused')
    else if (severity === 'outside') this.#parts.log.warn(fields, 'request failed')
    else this.#parts.log.error(fields, 'request failed')
  }
}

interface OpenRequest {
  readonly response: ServerResponse
  readonly abort: AbortController
}

interface LateError extends Omit<RequestLife, 'signal'> {
  readonly target: Target
}
