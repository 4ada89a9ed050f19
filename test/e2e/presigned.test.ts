import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeEachService } from '../support/each-service.ts'
import { seededBytes } from '../support/plaintext.ts'
import { startProxy, type TestProxy } from '../support/proxy.ts'
import { s3Client } from '../support/s3-client.ts'

const Bucket = 'presigned-e2e'

describeEachService('presigned URLs', (backend) => {
  let proxy: TestProxy
  let s3: S3Client

  beforeAll(async () => {
    proxy = await startProxy(backend)
    s3 = s3Client(proxy)
    await s3.send(new CreateBucketCommand({ Bucket }))
  })
  afterAll(async () => {
    s3.destroy()
    await proxy.close()
  })

  test('of the SDK upload with metadata and download', async () => {
    const plain = seededBytes('presigned', 100_000)
    const put = new PutObjectCommand({ Bucket, Key: 'a key', Metadata: { name: 'value' } })
    const uploaded = await fetch(await getSignedUrl(s3, put), { method: 'PUT', body: plain })
    expect(uploaded.status).toBe(200)
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: 'a key' }))
    expect(head.Metadata).toEqual({ name: 'value' })
    const get = new GetObjectCommand({ Bucket, Key: 'a key' })
    const downloaded = await fetch(await getSignedUrl(s3, get))
    expect(downloaded.status).toBe(200)
    expect(plain.equals(Buffer.from(await downloaded.arrayBuffer()))).toBe(true)
  })

  test('whose key was changed are refused', async () => {
    const url = await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key: 'a key' }))
    const refused = await fetch(url.replace('a%20key', 'another'))
    expect(refused.status).toBe(403)
    expect(await refused.text()).toContain('<Code>SignatureDoesNotMatch</Code>')
  })
})
