import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'

/**
 * Destroys a connection so that its end can't be taken for the end of a body that is delimited by
 * it (RFC 9112 §6.3): with a reset or, over TLS, without a close_notify.
 */
export function resetConnection(socket: Duplex): void {
  if (socket instanceof Socket && !(socket instanceof TLSSocket)) socket.resetAndDestroy()
  else socket.destroy()
}
