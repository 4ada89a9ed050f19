import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  UploadPartCommand,
  UploadPartCopyCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { describeEachService } from '../support/each-service.ts'
import { seededBytes, sha256Hex } from '../support/plaintext.ts'
import { startPostgres, type PostgresServer } from '../support/postgres.ts'
import { startProxy, type TestProxy } from '../support/proxy.ts'
import { bodyBytes, s3Client } from '../support/s3-client.ts'

const Bucket = 'multipart-e2e'
const MiB = 1024 * 1024

interface UploadedPart {
  readonly PartNumber: number
  readonly ETag: string | undefined
}

describeEachService('multipart uploads', (backend) => {
  let postgres: PostgresServer | null
  let first: TestProxy
  let second: TestProxy
  let clients: readonly [S3Client, S3Client]

  beforeAll(async () => {
    // Replicas share their state store; without PostgreSQL there is one proxy for both roles.
    postgres = await startPostgres()
    const config = postgres ? { state: { url: await postgres.createDatabase() } } : {}
    first = await startProxy(backend, { config })
    second = postgres ? await startProxy(backend, { config, sharedWith: first }) : first
    clients = [s3Client(first), s3Client(second)]
    await clients[0].send(new CreateBucketCommand({ Bucket }))
  })

  afterAll(async () => {
    await second.close()
    if (second !== first) await first.close()
    await postgres?.remove()
  })

  async function create(Key: string): Promise<{ UploadId: string }> {
    const { UploadId } = await clients[0].send(
      new CreateMultipartUploadCommand({ Bucket, Key, Metadata: { kept: 'yes' } }),
    )
    return { UploadId: UploadId ?? '' }
  }

  async function uploadPart(
    Key: string,
    UploadId: string,
    part: { PartNumber: number; Body: Buffer },
  ): Promise<UploadedPart> {
    const s3 = clients[part.PartNumber % 2] ?? clients[0]
    const { ETag } = await s3.send(new UploadPartCommand({ Bucket, Key, UploadId, ...part }))
    return { PartNumber: part.PartNumber, ETag }
  }

  async function upload(Key: string, sizes: readonly number[]) {
    const { UploadId } = await create(Key)
    const bodies = sizes.map((size, i) => seededBytes(`${Key}#${i}`, size))
    const order = sizes.map((_, i) => i).toSorted((a, b) => ((a * 7) % 5) - ((b * 7) % 5) || b - a)
    const Parts: UploadedPart[] = []
    for (const i of order) {
      const Body = bodies[i] ?? Buffer.alloc(0)
      Parts.push(await uploadPart(Key, UploadId, { PartNumber: i + 1, Body }))
    }
    Parts.sort((a, b) => a.PartNumber - b.PartNumber)
    const done = await clients[1].send(
      new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }),
    )
    return { plain: Buffer.concat(bodies), bodies, etag: done.ETag }
  }

  const layouts: [name: string, sizes: number[]][] = [
    ['one small part', [1000]],
    ['one empty part', [0]],
    ['one part of 5 MiB', [5 * MiB]],
    ['parts of 5 MiB and a short one', [5 * MiB, 5 * MiB, 1234]],
    ['parts of 8 MiB, the last as large', [8 * MiB, 8 * MiB]],
    ['parts of 7,000,000 bytes', [7_000_000, 7_000_000, 7_000_000, 99]],
    ['parts of mixed sizes', [6_000_001, 5 * MiB, 7_654_321, 5_500_000]],
    ['a last part that reaches 5 MiB by its own record', [5 * MiB, 5_240_250]],
    ['a last part just above, without one', [5 * MiB, 5_240_330]],
  ]

  test.each(layouts)(
    '%s read back through either replica, whole and by range',
    async (name, sizes) => {
      const Key = `layouts/${name}`
      const { plain, bodies, etag } = await upload(Key, sizes)
      for (const s3 of clients) {
        const got = await s3.send(new GetObjectCommand({ Bucket, Key }))
        expect(sha256Hex(await bodyBytes(got.Body))).toBe(sha256Hex(plain))
        expect(got).toMatchObject({ ETag: etag, Metadata: { kept: 'yes' } })
        const head = await s3.send(new HeadObjectCommand({ Bucket, Key }))
        expect(head).toMatchObject({ ContentLength: plain.length, ETag: etag })
      }
      const list = await clients[0].send(new ListObjectsV2Command({ Bucket, Prefix: Key }))
      expect(list.Contents?.find((o) => o.Key === Key)).toMatchObject({
        Size: plain.length,
        ETag: etag,
      })
      const borders = [0, 1, bodies[0]?.length ?? 0, plain.length - 1].filter(
        (at) => at < plain.length,
      )
      for (const start of borders) {
        const end = Math.min(plain.length, start + 100_000)
        const from = Math.max(0, start - 50)
        const got = await clients[0].send(
          new GetObjectCommand({ Bucket, Key, Range: `bytes=${from}-${end - 1}` }),
        )
        expect((await bodyBytes(got.Body)).equals(plain.subarray(from, end))).toBe(true)
      }
    },
  )

  test('a part number gives exactly that part', async () => {
    const Key = 'part-numbers'
    const { bodies, plain } = await upload(Key, [5 * MiB, 5 * MiB, 777])
    for (const [index, body] of bodies.entries()) {
      const got = await clients[0].send(
        new GetObjectCommand({ Bucket, Key, PartNumber: index + 1 }),
      )
      expect(got).toMatchObject({ PartsCount: 3, ContentLength: body.length })
      expect((await bodyBytes(got.Body)).equals(body)).toBe(true)
    }
    expect(plain.length).toBe(10 * MiB + 777)
    await expect(
      clients[0].send(new GetObjectCommand({ Bucket, Key, PartNumber: 4 })),
    ).rejects.toMatchObject({ $metadata: { httpStatusCode: 416 } })
  })

  test('uploads and parts in flight are listed in plaintext sizes, with ids that work', async () => {
    const Key = 'in-flight'
    const { UploadId } = await create(Key)
    const sizes = [5 * MiB, 100]
    for (const [i, size] of sizes.entries()) {
      await uploadPart(Key, UploadId, { PartNumber: i + 1, Body: seededBytes('x', size) })
    }
    const uploads = await clients[1].send(new ListMultipartUploadsCommand({ Bucket, Prefix: Key }))
    const listed = uploads.Uploads?.find((candidate) => candidate.Key === Key)
    expect(listed?.UploadId).toBe(UploadId)
    const parts = await clients[1].send(new ListPartsCommand({ Bucket, Key, UploadId }))
    expect(parts.Parts?.map((part) => part.Size)).toEqual(sizes)
    const page = await clients[1].send(new ListPartsCommand({ Bucket, Key, UploadId, MaxParts: 1 }))
    expect(page).toMatchObject({ IsTruncated: true, NextPartNumberMarker: '1' })
    await clients[1].send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }))
    await expect(
      clients[0].send(new ListPartsCommand({ Bucket, Key, UploadId })),
    ).rejects.toMatchObject({ name: 'NoSuchUpload' })
  })

  test('the last of several attempts at a part counts', async () => {
    const Key = 'attempts'
    const { UploadId } = await create(Key)
    await uploadPart(Key, UploadId, { PartNumber: 1, Body: seededBytes('old', 5 * MiB) })
    const Parts = [
      await uploadPart(Key, UploadId, { PartNumber: 1, Body: seededBytes('new', 5 * MiB) }),
      await uploadPart(Key, UploadId, { PartNumber: 2, Body: Buffer.from('end') }),
    ]
    await clients[0].send(
      new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }),
    )
    const got = await clients[0].send(new GetObjectCommand({ Bucket, Key }))
    const plain = Buffer.concat([seededBytes('new', 5 * MiB), Buffer.from('end')])
    expect(sha256Hex(await bodyBytes(got.Body))).toBe(sha256Hex(plain))
  })

  test('parts copied from other objects read back', async () => {
    const source = await upload('part-copy/source', [5 * MiB, 300_000])
    const Key = 'part-copy/target'
    const { UploadId } = await create(Key)
    const CopySource = `${Bucket}/part-copy/source`
    const range = { CopySourceRange: `bytes=100-${5 * MiB + 199}` }
    const one = await clients[0].send(
      new UploadPartCopyCommand({ Bucket, Key, UploadId, PartNumber: 1, CopySource, ...range }),
    )
    const two = await clients[1].send(
      new UploadPartCopyCommand({ Bucket, Key, UploadId, PartNumber: 2, CopySource }),
    )
    const Parts = [one, two].map((part, i) => ({
      PartNumber: i + 1,
      ETag: part.CopyPartResult?.ETag,
    }))
    await clients[0].send(
      new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }),
    )
    const got = await clients[1].send(new GetObjectCommand({ Bucket, Key }))
    const plain = Buffer.concat([source.plain.subarray(100, 5 * MiB + 200), source.plain])
    expect(sha256Hex(await bodyBytes(got.Body))).toBe(sha256Hex(plain))
  })

  test('a copy of an irregular object reads back and lists right', async () => {
    const { plain } = await upload('irregular/source', [5_300_001, 5_400_003, 10])
    await clients[0].send(
      new CopyObjectCommand({
        Bucket,
        Key: 'irregular/target',
        CopySource: `${Bucket}/irregular/source`,
      }),
    )
    const got = await clients[1].send(new GetObjectCommand({ Bucket, Key: 'irregular/target' }))
    expect(sha256Hex(await bodyBytes(got.Body))).toBe(sha256Hex(plain))
    const list = await clients[1].send(new ListObjectsV2Command({ Bucket, Prefix: 'irregular/' }))
    expect(list.Contents?.map((object) => object.Size)).toEqual([plain.length, plain.length])
  })

  test('Complete repeated after a lost answer succeeds again', async () => {
    const Key = 'repeated'
    const { UploadId } = await create(Key)
    const Parts = [await uploadPart(Key, UploadId, { PartNumber: 1, Body: Buffer.from('x') })]
    const send = () =>
      clients[0].send(
        new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }),
      )
    expect((await send()).ETag).toBe((await send()).ETag)
  })

  describe('refused', () => {
    const Key = 'refused'

    async function twoParts(sizes: readonly [number, number]) {
      const { UploadId } = await create(Key)
      const parts = []
      for (const [i, size] of sizes.entries()) {
        const Body = seededBytes('r', size)
        parts.push(await uploadPart(Key, UploadId, { PartNumber: i + 1, Body }))
      }
      const [one, two] = parts
      if (!one || !two) throw new Error('two parts expected')
      return { UploadId, one, two }
    }

    const complete = (UploadId: string, Parts: UploadedPart[], key = Key) =>
      clients[0].send(
        new CompleteMultipartUploadCommand({
          Bucket,
          Key: key,
          UploadId,
          MultipartUpload: { Parts },
        }),
      )

    test('a gap, a wrong order, a wrong ETag, an unknown part', async () => {
      const { UploadId, one, two } = await twoParts([5 * MiB, 10])
      await expect(complete(UploadId, [two])).rejects.toMatchObject({ name: 'InvalidPartOrder' })
      await expect(complete(UploadId, [two, one])).rejects.toMatchObject({
        name: 'InvalidPartOrder',
      })
      await expect(
        complete(UploadId, [one, { PartNumber: 2, ETag: one.ETag }]),
      ).rejects.toMatchObject({ name: 'InvalidPart' })
      await expect(
        complete(UploadId, [one, two, { PartNumber: 3, ETag: two.ETag }]),
      ).rejects.toMatchObject({ name: 'InvalidPart' })
      await complete(UploadId, [one, two])
    })

    test('a part that is too small before the last', async () => {
      const { UploadId, one, two } = await twoParts([5 * MiB - 1, 10])
      await expect(complete(UploadId, [one, two])).rejects.toMatchObject({ name: 'EntityTooSmall' })
    })

    test('an upload id of another key, changed, or made up', async () => {
      const { UploadId, one, two } = await twoParts([5 * MiB, 10])
      const changed = `${UploadId.slice(0, -2)}${UploadId.endsWith('AA') ? 'BB' : 'AA'}`
      for (const [id, key] of [
        [UploadId, 'other-key'],
        [changed, Key],
        ['made-up', Key],
      ] as const) {
        await expect(complete(id, [one, two], key)).rejects.toMatchObject({ name: 'NoSuchUpload' })
      }
    })

    test('an object under the key is not there until Complete', async () => {
      await clients[0].send(new PutObjectCommand({ Bucket, Key: 'visible', Body: 'old' }))
      const { UploadId } = await create('visible')
      await uploadPart('visible', UploadId, { PartNumber: 1, Body: Buffer.from('new') })
      const got = await clients[0].send(new GetObjectCommand({ Bucket, Key: 'visible' }))
      expect((await bodyBytes(got.Body)).toString()).toBe('old')
    })
  })
})
