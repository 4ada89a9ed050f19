import { request } from 'node:http'
import { CreateBucketCommand } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { signRequest } from '../../src/sigv4/sign.ts'
import { describeEachService } from '../support/each-service.ts'
import { startProxy, type TestProxy } from '../support/proxy.ts'
import { s3Client } from '../support/s3-client.ts'
import type { S3Target } from '../support/services.ts'

const Bucket = 'raw-keys-e2e'

/** Sends a signed request whose path reaches the wire exactly as given. */
function send(
  target: S3Target,
  method: string,
  call: { readonly rawKey: string; readonly body?: string },
): Promise<{ status: number; body: string }> {
  const { host, hostname, port } = new URL(target.endpoint)
  const rawPath = `/${Bucket}/${call.rawKey}`
  const { headers } = signRequest(
    { method, rawPath, rawQuery: '', headers: { host } },
    { ...target, now: new Date(), payloadHash: 'UNSIGNED-PAYLOAD' },
  )
  const length = call.body === undefined ? {} : { 'content-length': String(call.body.length) }
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { hostname, port, method, path: rawPath, headers: { ...headers, ...length } },
      (response) => {
        let body = ''
        response.on('data', (bytes: Buffer) => (body += bytes.toString('latin1')))
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
        response.on('error', reject)
      },
    )
    outgoing.on('error', reject)
    outgoing.end(call.body)
  })
}

describeEachService('keys that look like paths', (backend) => {
  let proxy: TestProxy

  beforeAll(async () => {
    proxy = await startProxy(backend)
    await s3Client(proxy).send(new CreateBucketCommand({ Bucket }))
  })

  afterAll(() => proxy.close())

  const names = [
    'a/../b',
    'a//b',
    './c',
    'd/.',
    'e/%2e%2e/f',
    'g%2Fh',
    'i+j',
    'k%20l',
    'm%25n',
    '%C3%BC',
  ]

  test.each(names)(
    '%s is taken or refused as the backend does it, never changed',
    async (rawKey) => {
      const direct = await send(backend, 'PUT', { rawKey: `direct/${rawKey}`, body: 'direct' })
      const put = await send(proxy, 'PUT', { rawKey: `proxy/${rawKey}`, body: `body of ${rawKey}` })
      expect(put.status).toBe(direct.status)
      const got = await send(proxy, 'GET', { rawKey: `proxy/${rawKey}` })
      expect(got).toMatchObject(
        direct.status === 200 ? { status: 200, body: `body of ${rawKey}` } : { status: got.status },
      )
      expect(got.status === 200).toBe(direct.status === 200)
    },
  )
})
