import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCommand } from '../../src/demo/command.ts'
import { describeEachService } from '../support/each-service.ts'
import { seededBytes } from '../support/plaintext.ts'
import { startProxy, type TestProxy } from '../support/proxy.ts'
import { bodyBytes, s3Client } from '../support/s3-client.ts'

const Bucket = 'independent-e2e'
const reader = new URL('../vectors/read_object.py', import.meta.url).pathname

describeEachService('the independent reader in Python reads from the backend', (backend) => {
  let proxy: TestProxy
  let s3: S3Client

  beforeAll(async () => {
    proxy = await startProxy(backend)
    s3 = s3Client(proxy)
    await s3.send(new CreateBucketCommand({ Bucket }))
  })

  afterAll(() => proxy.close())

  const readWithPython = async (key: string) => {
    const store = ['--store', join(proxy.folder, 'keys')]
    const master = ['--master-key', join(proxy.folder, 'master.key')]
    const source = ['--endpoint', backend.endpoint, '--access-key', backend.accessKeyId]
    const object = ['--bucket', Bucket, '--key', key]
    const child = await runCommand(
      'sh',
      ['-c', 'exec python3 "$@" > "$OUT"', 'sh', reader, ...store, ...master, ...source, ...object],
      {
        timeoutMs: 120_000,
        env: {
          PATH: process.env['PATH'],
          BACKEND_SECRET_KEY: backend.secretAccessKey,
          OUT: join(proxy.folder, 'plain'),
        },
      },
    )
    expect(child.stderr).toBe('')
    const { readFile } = await import('node:fs/promises')
    return readFile(join(proxy.folder, 'plain'))
  }

  test.each([1, 65_536, 200_000])('a single object of %i bytes', async (size) => {
    const Key = `single/${size} ü+`
    const plain = seededBytes(Key, size)
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: plain }))
    expect((await readWithPython(Key)).equals(plain)).toBe(true)
  })

  test('an empty object', async () => {
    await s3.send(new PutObjectCommand({ Bucket, Key: 'empty', Body: Buffer.alloc(0) }))
    expect(await readWithPython('empty')).toHaveLength(0)
  })

  test.each([
    ['uniform', [5_242_880, 5_242_880, 70_000]],
    ['decimal', [6_000_000, 6_000_000, 5_500_000]],
    ['irregular', [5_300_001, 6_400_003, 12]],
    ['in the zone', [5_242_880, 5_240_250]],
  ])('a multipart object: %s', async (name, sizes) => {
    const Key = `multipart/${name}`
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key }))
    const bodies = sizes.map((size, i) => seededBytes(`${name}${i}`, size))
    const Parts = []
    for (const [i, Body] of bodies.entries()) {
      const PartNumber = i + 1
      const part = { Bucket, Key, UploadId, PartNumber, Body }
      Parts.push({ PartNumber, ETag: (await s3.send(new UploadPartCommand(part))).ETag })
    }
    await s3.send(
      new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }),
    )
    expect((await readWithPython(Key)).equals(Buffer.concat(bodies))).toBe(true)
  })

  test('and refuses what the proxy refuses: an object moved in the backend', async () => {
    await s3.send(new PutObjectCommand({ Bucket, Key: 'moved', Body: 'content' }))
    const direct = s3Client(backend)
    const got = await direct.send(new GetObjectCommand({ Bucket, Key: 'moved' }))
    const file = join(proxy.folder, 'body')
    await writeFile(file, await bodyBytes(got.Body))
    const args = [
      ['--store', join(proxy.folder, 'keys')],
      ['--master-key', join(proxy.folder, 'master.key')],
      ['--bucket', Bucket, '--key', 'another'],
      ['--envelope', got.Metadata?.['nebulaio-envelope'] ?? '', '--body', file],
    ].flat()
    const child = await runCommand('python3', [reader, ...args], { timeoutMs: 60_000 })
    expect(child.code).toBe(1)
    expect(child.stdout).toBe('')
  })
})
