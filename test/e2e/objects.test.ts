import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  DeleteObjectTaggingCommand,
  GetBucketLocationCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { describeEachService } from '../support/each-service.ts'
import { seededBytes } from '../support/plaintext.ts'
import { startProxy, type TestProxy } from '../support/proxy.ts'
import { bodyBytes, s3Client } from '../support/s3-client.ts'

const Bucket = 'objects-e2e'
const Other = 'objects-e2e-other'

describeEachService('objects', (backend) => {
  let proxy: TestProxy
  let s3: S3Client

  beforeAll(async () => {
    proxy = await startProxy(backend)
    s3 = s3Client(proxy)
    await s3.send(new CreateBucketCommand({ Bucket }))
    await s3.send(new CreateBucketCommand({ Bucket: Other }))
  })

  afterAll(() => proxy.close())

  const get = async (Key: string, options: { Range?: string; Bucket?: string } = {}) =>
    bodyBytes((await s3.send(new GetObjectCommand({ Bucket, Key, ...options }))).Body)

  describe.each([0, 1, 1000, 65_535, 65_536, 65_537, 1_000_000])('of %i bytes', (size) => {
    const Key = `sizes/${size}`
    const plain = seededBytes(Key, size)

    test('read back as written, with the same size and ETag everywhere', async () => {
      const put = await s3.send(new PutObjectCommand({ Bucket, Key, Body: plain }))
      const got = await s3.send(new GetObjectCommand({ Bucket, Key }))
      expect((await bodyBytes(got.Body)).equals(plain)).toBe(true)
      const head = await s3.send(new HeadObjectCommand({ Bucket, Key }))
      const v1 = await s3.send(new ListObjectsCommand({ Bucket, Prefix: Key }))
      const v2 = await s3.send(new ListObjectsV2Command({ Bucket, Prefix: Key }))
      const listed = (list: typeof v1 | typeof v2) => list.Contents?.find((o) => o.Key === Key)
      for (const seen of [got, head]) {
        expect(seen).toMatchObject({ ContentLength: size, ETag: put.ETag })
        expect(seen.ServerSideEncryption).toBe('aws:kms')
        expect(JSON.stringify(seen.Metadata)).not.toContain('nebulaio')
      }
      expect(listed(v1)).toMatchObject({ Size: size, ETag: put.ETag })
      expect(listed(v2)).toMatchObject({ Size: size, ETag: put.ETag })
      expect(put.ETag).toMatch(/^"[^"]+-\d+"$/)
    })
  })

  test.each([
    ['bytes=0-0', 0, 1],
    ['bytes=0-65535', 0, 65_536],
    ['bytes=65535-65536', 65_535, 65_537],
    ['bytes=65536-', 65_536, 200_000],
    ['bytes=199999-', 199_999, 200_000],
    ['bytes=100-999999999', 100, 200_000],
    ['bytes=-1', 199_999, 200_000],
    ['bytes=-70000', 130_000, 200_000],
    ['bytes=-999999', 0, 200_000],
    ['bytes=131072-131073', 131_072, 131_074],
  ])('a range %s is exact', async (Range, start, end) => {
    const plain = seededBytes('ranges', 200_000)
    await s3.send(new PutObjectCommand({ Bucket, Key: 'ranges', Body: plain }))
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: 'ranges', Range }))
    expect(got.ContentRange).toBe(`bytes ${start}-${end - 1}/200000`)
    expect(got.$metadata.httpStatusCode).toBe(206)
    expect((await bodyBytes(got.Body)).equals(plain.subarray(start, end))).toBe(true)
  })

  test.each(['bytes=200000-', 'bytes=200000-200001', 'bytes=-0'])(
    'a range %s is not satisfiable',
    async (Range) => {
      await s3.send(
        new PutObjectCommand({ Bucket, Key: 'ranges', Body: seededBytes('ranges', 200_000) }),
      )
      await expect(get('ranges', { Range })).rejects.toMatchObject({
        name: 'InvalidRange',
        $metadata: { httpStatusCode: 416 },
      })
    },
  )

  test.each(['bytes=5-1', 'bytes=a-b', 'items=0-1', 'bytes=0-1,5-6'])(
    'a range %s is ignored',
    async (Range) => {
      const plain = seededBytes('ranges', 200_000)
      await s3.send(new PutObjectCommand({ Bucket, Key: 'ranges', Body: plain }))
      expect((await get('ranges', { Range })).equals(plain)).toBe(true)
    },
  )

  test('headers, metadata and tags survive', async () => {
    const Key = 'headers'
    const sent = {
      ContentType: 'text/x-test; charset=utf-8',
      ContentEncoding: 'gzip',
      ContentDisposition: 'attachment; filename="a b.txt"',
      ContentLanguage: 'de, en',
      CacheControl: 'max-age=3600',
      Metadata: { mode: '33188', 'with-dash': 'x y  z' },
    }
    await s3.send(
      new PutObjectCommand({
        Bucket,
        Key,
        Body: 'body',
        Expires: new Date('2030-01-01T00:00:00Z'),
        Tagging: 'a=1&b=2',
        ...sent,
      }),
    )
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key }))
    expect(head).toMatchObject(sent)
    expect(head.ExpiresString).toMatch(/2030/)
    const tags = await s3.send(new GetObjectTaggingCommand({ Bucket, Key }))
    expect(tags.TagSet?.map((tag) => `${tag.Key}=${tag.Value}`).toSorted()).toEqual(['a=1', 'b=2'])
    await s3.send(
      new PutObjectTaggingCommand({ Bucket, Key, Tagging: { TagSet: [{ Key: 'c', Value: '3' }] } }),
    )
    expect((await s3.send(new GetObjectTaggingCommand({ Bucket, Key }))).TagSet).toHaveLength(1)
    await s3.send(new DeleteObjectTaggingCommand({ Bucket, Key }))
    expect((await get(Key)).toString()).toBe('body')
  })

  test.each([
    'plain',
    'with space',
    'plus+sign',
    'per%cent',
    'encoded%2Fslash',
    'ünïcödé/日本語',
    'quotes\'"&<>',
    'a/b/c/d/e',
    'equals=and&amp;',
    'tilde~star*(paren)!',
  ])('the key %s works', async (name) => {
    const Key = `keys/${name}`
    const plain = seededBytes(Key, 100)
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: plain }))
    expect((await get(Key)).equals(plain)).toBe(true)
    const list = await s3.send(new ListObjectsV2Command({ Bucket, Prefix: Key }))
    expect(list.Contents?.map((object) => object.Key)).toContain(Key)
    await s3.send(new DeleteObjectCommand({ Bucket, Key }))
    await expect(get(Key)).rejects.toMatchObject({ name: 'NoSuchKey' })
  })

  test('a directory marker stays empty and readable', async () => {
    const Key = 'markers/dir/'
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: Buffer.alloc(0) }))
    const list = await s3.send(new ListObjectsV2Command({ Bucket, Prefix: 'markers/' }))
    expect(list.Contents).toMatchObject([{ Key, Size: 0 }])
    const seen = await get(Key).then(
      (body) => body.length,
      (error: Error) => error.name,
    )
    // SeaweedFS keeps no metadata for markers, so nothing proves that the marker is ours.
    expect(seen).toBe(backend.name === 'seaweedfs' ? 'AccessDenied' : 0)
  })

  test('content under a key that ends in a slash is kept or refused, never dropped', async () => {
    const Key = 'markers/content/'
    const seen = await s3.send(new PutObjectCommand({ Bucket, Key, Body: 'content' })).then(
      async () => (await get(Key)).toString(),
      () => 'refused',
    )
    const refusing = ['seaweedfs', 'versitygw']
    expect(seen).toBe(refusing.includes(backend.name) ? 'refused' : 'content')
  })

  test('conditional requests work on the ETags that clients see', async () => {
    const Key = 'conditional'
    const { ETag } = await s3.send(new PutObjectCommand({ Bucket, Key, Body: 'v1' }))
    const conditions = async (input: { IfMatch?: string; IfNoneMatch?: string }) =>
      (await s3.send(new GetObjectCommand({ Bucket, Key, ...input }))).$metadata.httpStatusCode
    expect(ETag).toBeDefined()
    expect(await conditions({ IfMatch: ETag ?? '' })).toBe(200)
    expect(await conditions({ IfNoneMatch: '"other-1"' })).toBe(200)
    await expect(conditions({ IfMatch: '"other-1"' })).rejects.toMatchObject({
      $metadata: { httpStatusCode: 412 },
    })
    await expect(conditions({ IfNoneMatch: ETag ?? '' })).rejects.toMatchObject({
      $metadata: { httpStatusCode: 304 },
    })
    await expect(
      s3.send(new PutObjectCommand({ Bucket, Key, Body: 'v2', IfNoneMatch: '*' })),
    ).rejects.toMatchObject({ name: 'PreconditionFailed' })
    expect((await get(Key)).toString()).toBe('v1')
  })

  describe('copies', () => {
    const plain = seededBytes('copies', 150_000)

    beforeAll(async () => {
      await s3.send(
        new PutObjectCommand({
          Bucket,
          Key: 'copy/source ü',
          Body: plain,
          ContentType: 'text/x-source',
          Metadata: { kept: 'yes' },
        }),
      )
    })

    test.each([
      ['within a bucket', Bucket],
      ['between buckets', Other],
    ])('%s keep contents and metadata', async (_, target) => {
      const CopySource = `${Bucket}/${encodeURIComponent('copy/source ü')}`
      const copy = await s3.send(
        new CopyObjectCommand({ Bucket: target, Key: 'copy/target', CopySource }),
      )
      const got = await s3.send(new GetObjectCommand({ Bucket: target, Key: 'copy/target' }))
      expect((await bodyBytes(got.Body)).equals(plain)).toBe(true)
      expect(got).toMatchObject({
        ContentType: 'text/x-source',
        Metadata: { kept: 'yes' },
        ETag: copy.CopyObjectResult?.ETag,
      })
    })

    test('can replace the metadata, onto the object itself too', async () => {
      const CopySource = `${Bucket}/${encodeURIComponent('copy/source ü')}`
      await s3.send(new CopyObjectCommand({ Bucket, Key: 'copy/self', CopySource }))
      await s3.send(
        new CopyObjectCommand({
          Bucket,
          Key: 'copy/self',
          CopySource: `${Bucket}/copy/self`,
          MetadataDirective: 'REPLACE',
          ContentType: 'text/x-new',
          Metadata: { fresh: '1' },
        }),
      )
      const got = await s3.send(new GetObjectCommand({ Bucket, Key: 'copy/self' }))
      expect((await bodyBytes(got.Body)).equals(plain)).toBe(true)
      expect(got).toMatchObject({ ContentType: 'text/x-new', Metadata: { fresh: '1' } })
    })

    test('of nothing, onto itself unchanged, or under a wrong condition are refused', async () => {
      const copy = (input: { CopySource: string; Key?: string; CopySourceIfMatch?: string }) =>
        s3.send(new CopyObjectCommand({ Bucket, Key: 'copy/x', ...input }))
      await expect(copy({ CopySource: `${Bucket}/copy/none` })).rejects.toMatchObject({
        name: 'NoSuchKey',
      })
      await expect(
        copy({ CopySource: `${Bucket}/copy/self`, Key: 'copy/self' }),
      ).rejects.toMatchObject({ name: 'InvalidRequest' })
      await expect(
        copy({
          CopySource: `${Bucket}/${encodeURIComponent('copy/source ü')}`,
          CopySourceIfMatch: '"other-1"',
        }),
      ).rejects.toMatchObject({ name: 'PreconditionFailed' })
    })
  })

  test('many objects are deleted at once', async () => {
    const keys = ['many/a', 'many/b c', 'many/ü&<']
    for (const Key of keys) await s3.send(new PutObjectCommand({ Bucket, Key, Body: Key }))
    const result = await s3.send(
      new DeleteObjectsCommand({
        Bucket,
        Delete: { Objects: [...keys, 'many/none'].map((Key) => ({ Key })) },
      }),
    )
    expect(result.Errors ?? []).toEqual([])
    const list = await s3.send(new ListObjectsV2Command({ Bucket, Prefix: 'many/' }))
    expect(list.KeyCount).toBe(0)
  })

  test('versions are listed in plaintext sizes and each can be read', async () => {
    const versioned = 'objects-e2e-versions'
    await s3.send(new CreateBucketCommand({ Bucket: versioned }))
    await s3.send(
      new PutBucketVersioningCommand({
        Bucket: versioned,
        VersioningConfiguration: { Status: 'Enabled' },
      }),
    )
    const versions = []
    for (const Body of ['one', 'three']) {
      versions.push(await s3.send(new PutObjectCommand({ Bucket: versioned, Key: 'k', Body })))
    }
    const list = await s3.send(new ListObjectVersionsCommand({ Bucket: versioned }))
    expect(list.Versions?.map((v) => v.Size).toSorted()).toEqual([3, 5])
    const VersionId = versions[0]?.VersionId
    const old = await s3.send(new GetObjectCommand({ Bucket: versioned, Key: 'k', VersionId }))
    expect((await bodyBytes(old.Body)).toString()).toBe('one')
  })

  test('buckets are created, found, listed and deleted', async () => {
    const fresh = 'objects-e2e-fresh'
    await s3.send(new CreateBucketCommand({ Bucket: fresh }))
    await s3.send(new HeadBucketCommand({ Bucket: fresh }))
    await s3.send(new GetBucketLocationCommand({ Bucket: fresh }))
    const { Buckets } = await s3.send(new ListBucketsCommand({}))
    expect(Buckets?.map(({ Name }) => Name)).toContain(fresh)
    await s3.send(new DeleteBucketCommand({ Bucket: fresh }))
    await expect(s3.send(new HeadBucketCommand({ Bucket: fresh }))).rejects.toMatchObject({
      $metadata: { httpStatusCode: 404 },
    })
  })
})
