import { once } from 'node:events'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import net, { type AddressInfo, type Socket } from 'node:net'
import { MessageSource } from '../../src/http/message-source.ts'
import { WritableSink } from '../../src/http/writable-sink.ts'

const forever = 60_000
const closers: (() => void)[] = []

/** Ends all that {@link exchange} has begun. */
export function closeExchanges(): void {
  for (const close of closers.splice(0)) close()
}

/** A connection on which one request has arrived: the client's raw socket and node's two messages. */
export async function exchange(head = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n'): Promise<{
  client: Socket
  request: IncomingMessage
  response: ServerResponse
}> {
  const server = http.createServer()
  server.on('clientError', (_, socket) => socket.destroy())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const client = net.connect(port, '127.0.0.1')
  client.on('error', () => undefined)
  closers.push(() => {
    client.destroy()
    server.close()
    server.closeAllConnections()
  })
  const arrived = new Promise<{ request: IncomingMessage; response: ServerResponse }>((resolve) => {
    server.once('request', (request: IncomingMessage, response: ServerResponse) =>
      resolve({ request, response }),
    )
  })
  client.write(head)
  return { client, ...(await arrived) }
}

function broken(what: 'cut' | 'stalled'): Error {
  return new Error(what)
}

/** The message as a source whose errors are `cut` and `stalled`. */
export function sourceOf(message: IncomingMessage, timeoutMs = forever): MessageSource {
  return new MessageSource(message, {
    idleTimeoutMs: timeoutMs,
    broken,
    giveUp: (_, reason) => message.destroy(reason),
  })
}

/** The message as a sink whose errors are `cut` and `stalled`. */
export function sinkOf(
  message: ServerResponse,
  options: { timeoutMs?: number; size?: number } = {},
): WritableSink {
  const { timeoutMs = forever, size = null } = options
  return new WritableSink(message, {
    idleTimeoutMs: timeoutMs,
    size,
    broken,
    giveUp: (reason) => message.destroy(reason),
  })
}
