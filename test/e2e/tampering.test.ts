import {
  CopyObjectCommand,
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeEachService } from '../support/each-service.ts'
import { seededBytes } from '../support/plaintext.ts'
import { startProxy, type TestProxy } from '../support/proxy.ts'
import { bodyBytes, s3Client } from '../support/s3-client.ts'

const Bucket = 'tampering-e2e'
const packageSize = 65_568

describeEachService('tampered objects', (backend) => {
  let proxy: TestProxy
  let s3: S3Client
  let direct: S3Client

  beforeAll(async () => {
    proxy = await startProxy(backend)
    s3 = s3Client(proxy)
    direct = s3Client(backend)
    await s3.send(new CreateBucketCommand({ Bucket }))
  })

  afterAll(() => proxy.close())

  async function stored(Key: string) {
    const got = await direct.send(new GetObjectCommand({ Bucket, Key }))
    return { body: await bodyBytes(got.Body), metadata: got.Metadata ?? {} }
  }

  /** What a client gets: the bytes that it was given before the answer failed, if it failed. */
  async function read(Key: string, Range?: string) {
    const response = await proxy.signedFetch(Key, { Bucket, ...(Range ? { Range } : {}) })
    const received: Uint8Array[] = []
    try {
      for await (const chunk of response.body ?? []) received.push(chunk)
      return { status: response.status, bytes: Buffer.concat(received), isWhole: true }
    } catch {
      return { status: response.status, bytes: Buffer.concat(received), isWhole: false }
    }
  }

  async function put(Key: string, size: number): Promise<Buffer> {
    const plain = seededBytes(Key, size)
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: plain }))
    return plain
  }

  const flip = (at: number) => (body: Buffer) => {
    const bad = Buffer.from(body)
    bad[at] = (bad.at(at) ?? 0) ^ 1
    return bad
  }
  const cut = (size: number) => (body: Buffer) => body.subarray(0, size)

  const changes: [name: string, change: (body: Buffer) => Buffer][] = [
    ['a flipped byte in the first header', flip(0)],
    ['a flipped nonce', flip(5)],
    ['a flipped ciphertext byte', flip(1000)],
    ['a flipped first tag', flip(packageSize - 1)],
    ['a flipped byte in the second package', flip(packageSize + 500)],
    ['a flipped byte in the last package', flip(2 * packageSize + 40)],
    ['the last package cut off', cut(2 * packageSize)],
    ['the end record cut off', (body) => body.subarray(0, -96)],
    ['a flipped end record', (body) => flip(body.length - 1)(body)],
    ['one byte cut off', (body) => body.subarray(0, -1)],
    ['a byte behind the end', (body) => Buffer.concat([body, Buffer.alloc(1)])],
    [
      'a package dropped',
      (body) => Buffer.concat([body.subarray(0, packageSize), body.subarray(2 * packageSize)]),
    ],
    [
      'two packages swapped',
      (body) =>
        Buffer.concat([
          body.subarray(packageSize, 2 * packageSize),
          body.subarray(0, packageSize),
          body.subarray(2 * packageSize),
        ]),
    ],
    ['a package doubled', (body) => Buffer.concat([body.subarray(0, packageSize), body])],
    ['nothing left', () => Buffer.alloc(0)],
    ['plaintext in place of the ciphertext', (body) => Buffer.alloc(body.length, 'x')],
  ]

  test.each(changes)('%s is never a whole answer and never a wrong byte', async (name, change) => {
    const Key = `changed/${name}`
    const plain = await put(Key, 3 * 65_536 - 100)
    const { body, metadata } = await stored(Key)
    await direct.send(new PutObjectCommand({ Bucket, Key, Body: change(body), Metadata: metadata }))
    const { status, bytes, isWhole } = await read(Key)
    expect(isWhole && status === 200).toBe(false)
    expect([200, 500]).toContain(status)
    expect(status === 500 || bytes.equals(plain.subarray(0, bytes.length))).toBe(true)
    expect(status === 500 || bytes.length < plain.length).toBe(true)
  })

  test('an object swapped with another, moved, or copied behind our back is refused', async () => {
    await put('swap/a', 1000)
    await put('swap/b', 1000)
    const a = await stored('swap/a')
    await direct.send(
      new PutObjectCommand({ Bucket, Key: 'swap/b', Body: a.body, Metadata: a.metadata }),
    )
    await direct.send(
      new CopyObjectCommand({ Bucket, Key: 'swap/c', CopySource: `${Bucket}/swap/a` }),
    )
    for (const Key of ['swap/b', 'swap/c']) {
      expect(await read(Key)).toMatchObject({ status: 500 })
      expect(await read(Key, 'bytes=0-10')).toMatchObject({ status: 500 })
    }
  })

  test('a body of one object under the metadata of another is refused', async () => {
    await put('splice/a', 1000)
    await put('splice/b', 1000)
    const a = await stored('splice/a')
    const b = await stored('splice/b')
    await direct.send(
      new PutObjectCommand({ Bucket, Key: 'splice/a', Body: b.body, Metadata: a.metadata }),
    )
    const { status, isWhole, bytes } = await read('splice/a')
    expect(isWhole && status === 200).toBe(false)
    expect(status === 500 || bytes.length === 0).toBe(true)
  })

  test('an older version of the body under the newest metadata is refused', async () => {
    await put('rollback', 1000)
    const old = await stored('rollback')
    await put('rollback', 1000)
    const { metadata } = await stored('rollback')
    await direct.send(
      new PutObjectCommand({ Bucket, Key: 'rollback', Body: old.body, Metadata: metadata }),
    )
    const { status, isWhole } = await read('rollback')
    expect(isWhole && status === 200).toBe(false)
  })

  test.each(['', 'some plaintext'])(
    'a plaintext object %j put there directly is refused',
    async (Body) => {
      const Key = `plaintext/${Body.length}`
      await direct.send(new PutObjectCommand({ Bucket, Key, Body }))
      await expect(s3.send(new GetObjectCommand({ Bucket, Key }))).rejects.toMatchObject({
        name: 'AccessDenied',
      })
      await expect(s3.send(new HeadObjectCommand({ Bucket, Key }))).rejects.toMatchObject({
        $metadata: { httpStatusCode: 403 },
      })
    },
  )

  test('a damaged envelope is refused', async () => {
    await put('envelope', 1000)
    const { body, metadata } = await stored('envelope')
    const [name = ''] = Object.keys(metadata)
    const value = metadata[name] ?? ''
    const damaged = [
      value.replace('v=1', 'v=2'),
      value.replace('layout=single', 'layout=multipart'),
      value.replace('kek=local:', 'kek=local:other-'),
      value.replace(/dek=./, 'dek='),
      `${value};x=1`,
      '',
    ]
    for (const bad of damaged) {
      await direct.send(
        new PutObjectCommand({ Bucket, Key: 'envelope', Body: body, Metadata: { [name]: bad } }),
      )
      const { status } = await read('envelope')
      expect([403, 500]).toContain(status)
    }
  })
})
