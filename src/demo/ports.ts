import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

// Below the range from which systems take the ports of outgoing connections (32768 and up on
// Linux), even with 10000 added.
const lowest = 12_000
const highest = 22_000
const attempts = 200

/**
 * Random ports on 127.0.0.1 that are free, as are the ports 10000 above them (SeaweedFS takes
 * those for gRPC). Nothing reserves them: start the server soon.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>()
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    if (ports.size === count) return [...ports]
    const port = randomInt(lowest, highest)
    if ((await isFree(port)) && (await isFree(port + 10_000))) ports.add(port)
  }
  throw new Error(`no ${count} free ports found on 127.0.0.1 between ${lowest} and ${highest}`)
}

/** Whether a server could listen on this port of this address now. */
export async function isFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  const server = createServer()
  try {
    server.listen({ port, host, exclusive: true })
    await once(server, 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}
