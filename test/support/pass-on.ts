import { uploadBody, sendBody } from '../../src/ops/upload.ts'
import type { OperationContext, OperationHandler } from '../../src/ops/operation.ts'
import { backendClient, objectRequest } from './backend-client.ts'
import { RawServer, type RawConnection } from './raw-server.ts'

/** A scripted backend, and the PutObject that passes verified bodies on to it as they are. */
export async function passOn(script: (connection: RawConnection) => void): Promise<{
  readonly server: RawServer
  readonly handler: OperationHandler
  readonly close: () => Promise<void>
}> {
  const server = new RawServer(script)
  const client = backendClient({ endpoint: await server.listen(), idleTimeoutMs: 1_000 })
  return {
    server,
    async close() {
      await client.close()
      server.close()
    },
    async handler(context) {
      const { signal } = context
      const body = uploadBody(context, 2 ** 40)
      const upload = client.upload(objectRequest('PUT', { signal }), body.plaintextSize)
      const stage = {
        push: (bytes: Buffer, out: Buffer[]) =>
          body.push(bytes, (data) => out.push(Buffer.from(data))),
        finish: () => void body.finish(),
      }
      const response = await sendBody(context, upload, { source: context.body.source(), stage })
      response.body.abort(new Error('not needed'))
      context.response.send(200, {})
    },
  }
}

/** Answers with the body as it came over the wire. */
export async function echoRaw(context: OperationContext): Promise<void> {
  const pieces: Buffer[] = []
  await new Promise<void>((resolve, reject) => {
    context.body.source().deliver({
      chunk: (bytes) => pieces.push(Buffer.from(bytes)),
      end: resolve,
      error: reject,
    })
  })
  context.response.send(200, {}, Buffer.concat(pieces))
}
