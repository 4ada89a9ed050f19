import { GetObjectCommand, ListBucketsCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { expect, test } from 'vitest'
import { describeEachService } from '../support/each-service.ts'
import { startProxy } from '../support/proxy.ts'
import { s3Client } from '../support/s3-client.ts'

describeEachService('a proxy whose own credentials the backend refuses', (backend) => {
  test.each([
    ['secret', { ...backend, secretAccessKey: 'not-the-secret-key' }],
    ['access key id', { ...backend, accessKeyId: 'UNKNOWNKEY' }],
  ])('tells clients of an outage, not of its %s', async (_, wrong) => {
    const proxy = await startProxy(wrong)
    const s3 = s3Client(proxy)
    const object = { Bucket: 'any-bucket', Key: 'key' }
    for (const send of [
      () => s3.send(new ListBucketsCommand({})),
      () => s3.send(new GetObjectCommand(object)),
      () => s3.send(new PutObjectCommand({ ...object, Body: 'content' })),
    ]) {
      const error: unknown = await send().then(
        () => null,
        (reason: unknown) => reason,
      )
      expect(error).toMatchObject({
        name: 'ServiceUnavailable',
        $metadata: { httpStatusCode: 503 },
      })
      expect(JSON.stringify(error)).not.toContain(wrong.accessKeyId)
    }
    await proxy.close()
  })
})
