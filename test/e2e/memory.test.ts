import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { request, type IncomingMessage } from 'node:http'
import { CreateBucketCommand } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { peakRssMiB, workerPid } from '../../bench/processes.ts'
import { signRequest } from '../../src/sigv4/sign.ts'
import { seededBytes } from '../support/plaintext.ts'
import { startProxyProcess, type ProxyProcess } from '../support/proxy-process.ts'
import { newFolder } from '../support/proxy.ts'
import { s3Client } from '../support/s3-client.ts'
import type { S3Target } from '../support/services.ts'

const Bucket = 'memory-e2e'
const MiB = 1024 * 1024
const piece = seededBytes('memory', MiB)
const service = inject('services').seaweedfs

describe.skipIf(service === null)('a proxy with a small heap', () => {
  let folder: string
  let proxy: ProxyProcess

  beforeAll(async () => {
    folder = await newFolder()
    proxy = await startProxyProcess(service as S3Target, {
      folder,
      name: 'small',
      // The embedded state store has a memory of its own: it stays in the control process.
      config: { server: { listen: '127.0.0.1:0', workers: 1 } },
      nodeOptions: ['--max-old-space-size=48', '--max-semi-space-size=4'],
    })
    await s3Client(proxy).send(new CreateBucketCommand({ Bucket }))
  })

  afterAll(async () => {
    await proxy.kill()
    await rm(folder, { recursive: true, force: true })
  })

  test('puts and gets 1 GiB in the memory that it needs for 64 MiB', async () => {
    const small = await peakOf(64)
    const large = await peakOf(1024)
    expect(large).toBeLessThan(small * 1.25)
  })

  /** Peak resident memory in MiB after an object of this many MiB was put and read back. */
  async function peakOf(sizeMiB: number): Promise<number> {
    const key = `/${Bucket}/${sizeMiB}`
    const written = createHash('sha256')
    for (let i = 0; i < sizeMiB; i += 1) written.update(piece)
    await exchange('PUT', key, sizeMiB)
    expect(await exchange('GET', key, 0)).toBe(written.digest('hex'))
    return peakRssMiB(workerPid(proxy.pid))
  }

  /** Sends a signed request with a body of so many MiB; gives the SHA-256 of the answer's body. */
  function exchange(method: string, path: string, sizeMiB: number): Promise<string> {
    const { host, hostname, port } = new URL(proxy.endpoint)
    const { headers } = signRequest(
      { method, rawPath: path, rawQuery: '', headers: { host } },
      { ...proxy, now: new Date(), payloadHash: 'UNSIGNED-PAYLOAD' },
    )
    const length = { 'content-length': String(sizeMiB * MiB) }
    return new Promise((resolve, reject) => {
      const outgoing = request({
        hostname,
        port,
        method,
        path,
        headers: method === 'PUT' ? { ...headers, ...length } : headers,
      })
      outgoing.on('error', reject)
      outgoing.on('response', (response: IncomingMessage) => {
        const hash = createHash('sha256')
        response.on('data', (bytes: Buffer) => hash.update(bytes))
        response.on('error', reject)
        response.on('end', () => {
          if (response.statusCode === 200) resolve(hash.digest('hex'))
          else reject(new Error(`${method} ${path}: ${response.statusCode}`))
        })
      })
      let left = sizeMiB
      const write = (): void => {
        while (left > 0) {
          left -= 1
          if (!outgoing.write(piece)) {
            outgoing.once('drain', write)
            return
          }
        }
        outgoing.end()
      }
      write()
    })
  }
})
