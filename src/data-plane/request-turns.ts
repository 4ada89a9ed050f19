import type { Socket } from 'node:net'
import { ClientGoneError } from './client-exchange.ts'

/** Requests that may be without an answer on one connection. */
const maxUnanswered = 8

/**
 * Lets requests that a client sends without waiting for answers be served one by one, in their order
 * (RFC 9112 §9.3.2): each must see what those before it did, and none may be served that can't be
 * answered any more.
 */
export class RequestTurns {
  readonly #queues = new WeakMap<Socket, { last: Promise<void>; unanswered: number }>()

  /**
   * Resolves when it is the request's turn. `answered` ends it, and must resolve too if the
   * connection closes. Throws ClientGoneError if the connection is over by then; one on which too
   * many wait is destroyed.
   */
  async take(socket: Socket, answered: Promise<void>): Promise<void> {
    const queue = this.#queues.get(socket) ?? { last: Promise.resolve(), unanswered: 0 }
    this.#queues.set(socket, queue)
    const before = queue.last
    queue.unanswered += 1
    queue.last = before
      .then(() => answered)
      .finally(() => {
        queue.unanswered -= 1
      })
    if (queue.unanswered > maxUnanswered) socket.destroy()
    await before
    if (!socket.writable) throw new ClientGoneError('connection is over')
  }
}

/** Resolves once an answer is out, or its connection closed. */
export function whenAnswered(socket: Socket, response: NodeJS.EventEmitter): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const end = (): void => {
    socket.off('close', end)
    response.off('close', end)
    resolve()
  }
  // Answers that wait for earlier ones on their connection aren't told of its end.
  socket.on('close', end)
  response.on('close', end)
  return promise
}
