import { afterEach, describe, expect, test } from 'vitest'
import { backendClient, objectRequest } from '../support/backend-client.ts'
import { headOf, RawServer } from '../support/raw-server.ts'

const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'
const raw = Buffer.from('attachment; filename="é€à"').toString('latin1')
const closers: (() => Promise<void>)[] = []

afterEach(async () => {
  await Promise.all(closers.splice(0).map((close) => close()))
})

async function backend(payload: 'signed-chunks' | 'unsigned') {
  const server = new RawServer(({ socket }) => socket.write(ok))
  const client = backendClient({ endpoint: await server.listen(), payload })
  closers.push(async () => {
    await client.close()
    server.close()
  })
  return { server, client }
}

describe.each(['signed-chunks', 'unsigned'] as const)('content-disposition (%s)', (payload) => {
  test.each([0, 5])('keeps its bytes beside a body of %i that comes at once', async (size) => {
    const { server, client } = await backend(payload)
    const headers = { 'content-disposition': raw }
    const upload = client.upload(objectRequest('PUT', { headers }), size)
    upload.sink.write([Buffer.alloc(size, 'x')])
    upload.sink.end()
    expect((await upload.response).status).toBe(200)
    expect(headOf(server.connection())).toContain(`\r\ncontent-disposition: ${raw}\r\n`)
  })

  test('keeps its bytes beside a body that is at hand', async () => {
    const { server, client } = await backend(payload)
    const headers = { 'content-disposition': raw }
    await client.send(objectRequest('PUT', { headers }), Buffer.from('hello'))
    expect(headOf(server.connection())).toContain(`\r\ncontent-disposition: ${raw}\r\n`)
  })
})
