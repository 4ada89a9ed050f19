import { once } from 'node:events'
import net, { type AddressInfo, type Socket } from 'node:net'

/** One connection to a {@link RawServer}, and all bytes that came over it. */
export interface RawConnection {
  readonly socket: Socket
  received: Buffer
  isClosed: boolean
}

/**
 * A server that does with each connection what its script says, bytes and all. The script is called
 * when the head of a request is there: `index` counts the connections.
 */
export class RawServer {
  readonly connections: RawConnection[] = []
  readonly #server: net.Server

  constructor(onHead: (connection: RawConnection, index: number) => void) {
    this.#server = net.createServer({ allowHalfOpen: true }, (socket) => {
      const connection: RawConnection = { socket, received: Buffer.alloc(0), isClosed: false }
      const index = this.connections.push(connection) - 1
      let isAsked = false
      socket.on('error', () => undefined)
      socket.on('close', () => {
        connection.isClosed = true
      })
      socket.on('end', () => socket.end())
      socket.on('data', (bytes: Buffer) => {
        connection.received = Buffer.concat([connection.received, bytes])
        if (isAsked || !connection.received.includes('\r\n\r\n')) return
        isAsked = true
        onHead(connection, index)
      })
    })
  }

  /** The URL, once it listens. */
  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** The connection with this index, from the end if negative. */
  connection(index = 0): RawConnection {
    const connection = this.connections.at(index)
    if (!connection) throw new Error(`no connection ${index}`)
    return connection
  }

  get openConnections(): number {
    return this.connections.filter((connection) => !connection.isClosed).length
  }

  close(): void {
    this.#server.close()
    for (const { socket } of this.connections) socket.destroy()
  }
}

/** The head of the first request on a connection. */
export function headOf({ received }: RawConnection): string {
  return received.toString('latin1').split('\r\n\r\n', 1)[0] ?? ''
}

/** What came after the head of the first request. */
export function bodyOf({ received }: RawConnection): Buffer {
  const end = received.indexOf('\r\n\r\n')
  return end < 0 ? Buffer.alloc(0) : received.subarray(end + 4)
}
