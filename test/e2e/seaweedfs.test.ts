import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import type { S3Client } from '@aws-sdk/client-s3'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { startSeaweed } from '../../src/demo/seaweedfs.ts'
import type { Seaweed } from '../../src/demo/seaweedfs.ts'
import { s3Client } from '../support/s3-client.ts'

const credentials = { accessKeyId: 'demo', secretAccessKey: 'demo-secret-key' }
const Bucket = 'kept'
const size = 300_000

const isMissing = inject('services').seaweedfs === null

describe.skipIf(isMissing)('the folder of a SeaweedFS server', () => {
  let dataDir = ''
  let server: Seaweed | undefined
  let client: S3Client | undefined
  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'nebulaio-seaweed-'))
  })
  afterEach(async () => {
    await end()
    await rm(dataDir, { recursive: true })
  })

  async function begin(): Promise<S3Client> {
    server = await startSeaweed({ dataDir, credentials })
    client = s3Client({ endpoint: server.endpoint, region: 'us-east-1', ...credentials })
    return client
  }

  async function end(): Promise<void> {
    client?.destroy()
    await server?.stop()
  }

  /** The keys of all objects that a newly started server has, and which of them read back wrong. */
  async function readBack(): Promise<{ keys: string[]; wrong: string[] }> {
    const reader = await begin()
    const list = await reader.send(new ListObjectsV2Command({ Bucket }))
    const keys = (list.Contents ?? []).map(({ Key }) => Key ?? '')
    const wrong: string[] = []
    for (const Key of keys) {
      const got = await reader.send(new GetObjectCommand({ Bucket, Key }))
      const bytes = Buffer.from((await got.Body?.transformToByteArray()) ?? [])
      if (!bytes.equals(Buffer.alloc(size, Key))) wrong.push(Key)
    }
    return { keys, wrong }
  }

  async function write(writer: S3Client): Promise<string[]> {
    await writer.send(new CreateBucketCommand({ Bucket }))
    const keys = Array.from({ length: 20 }, () => randomUUID())
    for (const Key of keys) {
      await writer.send(new PutObjectCommand({ Bucket, Key, Body: Buffer.alloc(size, Key) }))
    }
    return keys.sort()
  }

  test('keeps every object over stops, on other ports each time', async () => {
    const keys = await write(await begin())
    const firstEndpoint = server?.endpoint
    await end()
    expect(await readBack()).toEqual({ keys, wrong: [] })
    expect(server?.endpoint).not.toBe(firstEndpoint)
    await end()
    expect(await readBack()).toEqual({ keys, wrong: [] })
  })

  test('keeps every acknowledged object when the server is killed', async () => {
    const keys = await write(await begin())
    if (server) process.kill(server.pid, 'SIGKILL')
    await server?.exited
    expect(await readBack()).toEqual({ keys, wrong: [] })
  })

  test('is not for others to read: its credentials are in there', async () => {
    await begin()
    expect((await stat(join(dataDir, 's3-identities.json'))).mode & 0o077).toBe(0)
    expect((await stat(join(dataDir, 'objects'))).mode & 0o077).toBe(0)
  })

  test('serves one server at a time', async () => {
    await begin()
    await expect(startSeaweed({ dataDir, credentials })).rejects.toThrow('SeaweedFS ended')
  })
})
