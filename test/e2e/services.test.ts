import { randomBytes, randomUUID } from 'node:crypto'
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import { afterAll, expect, test } from 'vitest'
import { describeEachService } from '../support/each-service.ts'
import { s3Client } from '../support/s3-client.ts'

describeEachService('a server without the proxy', (service) => {
  const client = s3Client(service)
  const wrong = s3Client({ ...service, secretAccessKey: 'wrong-secret-key' })
  const bucket = `direct-${randomUUID()}`
  afterAll(() => {
    client.destroy()
    wrong.destroy()
  })

  test('stores an object, returns it and deletes it', async () => {
    const body = randomBytes(3_000_000)
    const object = { Bucket: bucket, Key: 'folder/ü + object' }
    await client.send(new CreateBucketCommand({ Bucket: bucket }))
    await client.send(new PutObjectCommand({ ...object, Body: body }))
    const got = await client.send(new GetObjectCommand(object))
    const bytes = await got.Body?.transformToByteArray()
    expect(Buffer.from(bytes ?? []).equals(body)).toBe(true)
    await client.send(new DeleteObjectCommand(object))
    await expect(client.send(new GetObjectCommand(object))).rejects.toThrow(
      expect.objectContaining({ name: 'NoSuchKey' }),
    )
    await client.send(new DeleteBucketCommand({ Bucket: bucket }))
  })

  test('refuses a wrong secret', async () => {
    const list = new ListObjectsV2Command({ Bucket: bucket })
    await expect(wrong.send(list)).rejects.toThrow(
      expect.objectContaining({ name: 'SignatureDoesNotMatch' }),
    )
  })
})
