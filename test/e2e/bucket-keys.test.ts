import { join } from 'node:path'
import {
  CopyObjectCommand,
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openLocalKeyProvider } from '../../src/kms/local.ts'
import { silentLogger } from '../../src/observe/logger.ts'
import { describeEachService } from '../support/each-service.ts'
import { seededBytes } from '../support/plaintext.ts'
import { startProxy, type TestProxy } from '../support/proxy.ts'
import { bodyBytes, s3Client } from '../support/s3-client.ts'

const plain = seededBytes('bucket keys', 200_000)

describeEachService('buckets with keys of their own', (backend) => {
  let first: TestProxy
  let keyed: TestProxy

  const localKeys = (folder: string) => ({
    keyStorePath: join(folder, 'keys'),
    masterKeyFile: join(folder, 'master.key'),
    keyName: 'nebulaio-master',
  })

  const encryption = (more: object) => ({
    encryption: {
      enabled: true,
      kms: {
        provider: 'local',
        local: { key_store_path: './keys', master_key_file: './master.key' },
      },
      ...more,
    },
  })

  beforeAll(async () => {
    first = await startProxy(backend)
    const provider = await openLocalKeyProvider(localKeys(first.folder), silentLogger)
    await provider.createKey('pii-key')
    await provider.close()
    keyed = await startProxy(backend, {
      sharedWith: first,
      config: encryption({ bucket_keys: [{ bucket: 'keys-pii', key_id: 'local:pii-key' }] }),
    })
    for (const Bucket of ['keys-pii', 'keys-other']) {
      await s3Client(keyed).send(new CreateBucketCommand({ Bucket }))
    }
  })

  afterAll(async () => {
    await keyed.close()
    await first.close()
  })

  const kekOf = async (Bucket: string, Key: string): Promise<string | undefined> => {
    const { Metadata } = await s3Client(backend).send(new HeadObjectCommand({ Bucket, Key }))
    return /kek=([^;]+)/.exec(Metadata?.['nebulaio-envelope'] ?? '')?.[1]
  }

  test('a copy between them is protected by the key of its new bucket', async () => {
    const s3 = s3Client(keyed)
    await s3.send(new PutObjectCommand({ Bucket: 'keys-pii', Key: 'a', Body: plain }))
    const copy = { Bucket: 'keys-other', Key: 'b', CopySource: 'keys-pii/a' }
    await s3.send(new CopyObjectCommand(copy))
    const back = { Bucket: 'keys-pii', Key: 'c', CopySource: 'keys-other/b' }
    await s3.send(new CopyObjectCommand(back))
    expect(await kekOf('keys-pii', 'a')).toBe('local:pii-key')
    expect(await kekOf('keys-other', 'b')).toBe('local:nebulaio-master')
    expect(await kekOf('keys-pii', 'c')).toBe('local:pii-key')
    for (const [Bucket, Key] of [
      ['keys-other', 'b'],
      ['keys-pii', 'c'],
    ] as const) {
      const got = await s3.send(new GetObjectCommand({ Bucket, Key }))
      expect((await bodyBytes(got.Body)).equals(plain)).toBe(true)
    }
  })

  test('a key that the configuration does not name decrypts nothing', async () => {
    const s3 = s3Client(keyed)
    await s3.send(new PutObjectCommand({ Bucket: 'keys-pii', Key: 'd', Body: plain }))
    const get = new GetObjectCommand({ Bucket: 'keys-pii', Key: 'd' })
    await expect(s3Client(first).send(get)).rejects.toMatchObject({
      name: 'AccessDenied',
      message: expect.stringContaining('local:pii-key'),
    })
  })

  test('rotated keys protect new objects and still decrypt old ones', async () => {
    const s3 = s3Client(keyed)
    await s3.send(new PutObjectCommand({ Bucket: 'keys-pii', Key: 'before', Body: plain }))
    const provider = await openLocalKeyProvider(localKeys(first.folder), silentLogger)
    await provider.rotate('pii-key')
    await provider.close()
    const replica = await startProxy(backend, {
      sharedWith: first,
      config: encryption({ bucket_keys: [{ bucket: 'keys-pii', key_id: 'local:pii-key' }] }),
    })
    const other = s3Client(replica)
    await other.send(new PutObjectCommand({ Bucket: 'keys-pii', Key: 'after', Body: plain }))
    for (const client of [s3, other]) {
      for (const Key of ['before', 'after']) {
        const got = await client.send(new GetObjectCommand({ Bucket: 'keys-pii', Key }))
        expect((await bodyBytes(got.Body)).equals(plain)).toBe(true)
      }
    }
    await replica.close()
  })
})
