// The plainest proxy that Node can be: no signatures, no encryption, `pipeline` both ways. The Host
// header passes unchanged, so the client's signature for the backend stays good.
import { createServer, request, Agent } from 'node:http'
import { pipeline } from 'node:stream'

const [target = '', port = '0'] = process.argv.slice(2)
const backend = new URL(target)
const agent = new Agent({ keepAlive: true })

const server = createServer((incoming, outgoing) => {
  const upstream = request(
    {
      host: backend.hostname,
      port: backend.port,
      agent,
      method: incoming.method,
      path: incoming.url,
      headers: incoming.rawHeaders,
      setHost: false,
    },
    (response) => {
      outgoing.writeHead(response.statusCode ?? 502, response.rawHeaders)
      pipeline(response, outgoing, () => undefined)
    },
  )
  pipeline(incoming, upstream, (error) => {
    if (error) outgoing.destroy()
  })
})
server.listen(Number(port), '127.0.0.1', () => process.stdout.write('ready\n'))
