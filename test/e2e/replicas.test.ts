import { rm } from 'node:fs/promises'
import {
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeEachService } from '../support/each-service.ts'
import { seededBytes, sha256Hex } from '../support/plaintext.ts'
import { startProxyProcess, type ProxyProcess } from '../support/proxy-process.ts'
import { newFolder } from '../support/proxy.ts'
import { bodyBytes, s3Client } from '../support/s3-client.ts'

const Bucket = 'replicas-e2e'
const MiB = 1024 * 1024

describeEachService('two proxy processes, one killed in between', (backend) => {
  let folder: string
  let first: ProxyProcess
  let second: ProxyProcess

  beforeAll(async () => {
    folder = await newFolder()
    first = await startProxyProcess(backend, { folder, name: 'first' })
    second = await startProxyProcess(backend, { folder, name: 'second' })
    await s3Client(first).send(new CreateBucketCommand({ Bucket }))
  })

  afterAll(async () => {
    await first.kill()
    await second.kill()
    await rm(folder, { recursive: true, force: true })
  })

  test('take the parts of one upload in any order, and the survivor completes it', async () => {
    const Key = 'spread'
    const sizes = [5 * MiB, 7_000_000, 8 * MiB, 5 * MiB, 6_000_001, 4_321]
    const bodies = sizes.map((size, i) => seededBytes(`spread${i}`, size))
    const one = s3Client(first)
    const two = s3Client(second)
    const { UploadId } = await one.send(
      new CreateMultipartUploadCommand({ Bucket, Key, Metadata: { kept: 'yes' } }),
    )
    const Parts: { PartNumber: number; ETag: string | undefined }[] = []
    const upload = async (client: typeof one, index: number): Promise<void> => {
      const part = { PartNumber: index + 1, Body: bodies[index] ?? Buffer.alloc(0) }
      const { ETag } = await client.send(new UploadPartCommand({ Bucket, Key, UploadId, ...part }))
      Parts.push({ PartNumber: index + 1, ETag })
    }
    await upload(two, 4)
    await Promise.all([upload(one, 2), upload(two, 0)])
    await first.kill()
    for (const index of [5, 1, 3]) await upload(two, index)
    Parts.sort((a, b) => a.PartNumber - b.PartNumber)
    await two.send(
      new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }),
    )
    first = await startProxyProcess(backend, { folder, name: 'third' })
    for (const client of [two, s3Client(first)]) {
      const head = await client.send(new HeadObjectCommand({ Bucket, Key }))
      expect(head).toMatchObject({
        ContentLength: sizes.reduce((sum, size) => sum + size, 0),
        Metadata: { kept: 'yes' },
      })
      const got = await client.send(new GetObjectCommand({ Bucket, Key }))
      expect(sha256Hex(await bodyBytes(got.Body))).toBe(sha256Hex(Buffer.concat(bodies)))
    }
  })
})
