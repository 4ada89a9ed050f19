import {
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  UploadPartCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { BackendTap } from '../support/backend-tap.ts'
import { describeEachService } from '../support/each-service.ts'
import { seededBytes } from '../support/plaintext.ts'
import { startProxy, type TestProxy } from '../support/proxy.ts'
import { s3Client } from '../support/s3-client.ts'

const Bucket = 'list-cost-e2e'

describeEachService('a list of 1,000 keys', (backend) => {
  let tap: BackendTap
  let proxy: TestProxy
  let s3: S3Client
  const sizes = new Map<string, number>()

  beforeAll(async () => {
    tap = await BackendTap.start(backend.endpoint)
    proxy = await startProxy({ ...backend, endpoint: tap.endpoint })
    s3 = s3Client(proxy)
    await s3.send(new CreateBucketCommand({ Bucket }))
    const names = Array.from({ length: 994 }, (_, i) => `small/${String(i).padStart(4, '0')}`)
    const queue = names.entries()
    const worker = async (): Promise<void> => {
      for (const [i, Key] of queue) {
        await s3.send(new PutObjectCommand({ Bucket, Key, Body: Buffer.alloc(i * 7) }))
        sizes.set(Key, i * 7)
      }
    }
    await Promise.all(Array.from({ length: 16 }, worker))
    await multipart('large/aligned', [5_242_880, 5_242_880, 100])
    await multipart('large/decimal', [6_000_000, 6_000_000, 5])
    await multipart('large/mixed', [5_300_001, 5_400_002, 5])
    await multipart('large/one part', [9_000_000])
    await multipart('large/zone', [5_242_880, 5_240_300])
    const single = seededBytes('single', 6_000_000)
    await s3.send(new PutObjectCommand({ Bucket, Key: 'large/single', Body: single }))
    sizes.set('large/single', 6_000_000)
  }, 300_000)

  afterAll(async () => {
    await proxy.close()
    await tap.close()
  })

  async function multipart(Key: string, parts: readonly number[]): Promise<void> {
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key }))
    const Parts = []
    for (const [i, size] of parts.entries()) {
      const part = { PartNumber: i + 1, Body: seededBytes(`${Key}${i}`, size) }
      const { ETag } = await s3.send(new UploadPartCommand({ Bucket, Key, UploadId, ...part }))
      Parts.push({ PartNumber: i + 1, ETag })
    }
    await s3.send(
      new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }),
    )
    sizes.set(
      Key,
      parts.reduce((sum, size) => sum + size, 0),
    )
  }

  async function list(client: S3Client) {
    const { Contents } = await client.send(new ListObjectsV2Command({ Bucket }))
    return new Map(Contents?.map(({ Key, Size }) => [Key, Size]))
  }

  test('has the right sizes and costs one backend request', async () => {
    // The zone object's size is learnt by the first list.
    await list(s3)
    tap.requests.length = 0
    expect(await list(s3)).toEqual(sizes)
    expect(tap.requests).toHaveLength(1)
  })

  test('has the right sizes on a replica that has lost its state store, at a cost once', async () => {
    const other = await startProxy({ ...backend, endpoint: tap.endpoint }, { sharedWith: proxy })
    const client = s3Client(other)
    expect(await list(client)).toEqual(sizes)
    tap.requests.length = 0
    expect(await list(client)).toEqual(sizes)
    expect(tap.requests).toHaveLength(1)
    await other.close()
  })
})
