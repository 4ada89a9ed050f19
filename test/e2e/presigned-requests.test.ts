import {
  CopyObjectCommand,
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
import { bodyBytes, s3Client } from '../support/s3-client.ts'

const Bucket = 'presigned-requests-e2e'
const plain = seededBytes('presigned', 100_000)

describeEachService('requests by presigned URL', (backend) => {
  let proxy: TestProxy
  /** As the SDK comes: it puts checksums into every URL. */
  let s3: S3Client
  /** One that only puts in what it must. */
  let plainS3: S3Client

  beforeAll(async () => {
    proxy = await startProxy(backend)
    s3 = s3Client(proxy)
    plainS3 = s3Client(proxy, {
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
    })
    await s3.send(new CreateBucketCommand({ Bucket }))
    await s3.send(new PutObjectCommand({ Bucket, Key: 'object', Body: plain }))
  })

  afterAll(async () => {
    s3.destroy()
    plainS3.destroy()
    await proxy.close()
  })

  const get = async (Key: string) =>
    bodyBytes((await s3.send(new GetObjectCommand({ Bucket, Key }))).Body)

  test('of any client read an object', async () => {
    for (const client of [s3, plainS3]) {
      const url = await getSignedUrl(client, new GetObjectCommand({ Bucket, Key: 'object' }))
      const response = await fetch(url)
      expect(response.status).toBe(200)
      expect(Buffer.from(await response.arrayBuffer()).equals(plain)).toBe(true)
    }
  })

  test('write what they are given, with the headers that they carry', async () => {
    const Key = 'written/é + %'
    const url = await getSignedUrl(
      plainS3,
      new PutObjectCommand({ Bucket, Key, Metadata: { name: 'a b' }, ContentType: 'text/x-a' }),
    )
    const response = await fetch(url, {
      method: 'PUT',
      body: plain,
      headers: { 'content-type': 'text/x-a' },
    })
    expect(response.status).toBe(200)
    expect((await get(Key)).equals(plain)).toBe(true)
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key }))
    expect(head).toMatchObject({ Metadata: { name: 'a b' }, ContentType: 'text/x-a' })
  })

  test('copy an object', async () => {
    const Key = 'copied'
    const command = new CopyObjectCommand({ Bucket, Key, CopySource: `${Bucket}/object` })
    const response = await fetch(await getSignedUrl(plainS3, command), { method: 'PUT' })
    expect(response.status).toBe(200)
    expect((await get(Key)).equals(plain)).toBe(true)
  })

  test.each([
    ['another object', (url: string) => url.replace('/object?', '/other?')],
    ['a parameter more', (url: string) => `${url}&acl`],
    ['a header more', (url: string) => `${url}&x-amz-acl=public-read`],
    ['a parameter less', (url: string) => url.replace(/&x-id=\w+/, '')],
    ['another method', (url: string) => url, 'DELETE'],
  ])('changed to %s are refused', async (_, change, method = 'GET') => {
    const url = await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key: 'object' }))
    const response = await fetch(change(url), { method })
    expect(response.status).toBe(403)
    expect(await response.text()).toContain('<Code>SignatureDoesNotMatch<')
  })
})
