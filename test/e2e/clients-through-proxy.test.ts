import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GetObjectCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  awsCli,
  hasPythonClients,
  hasRestic,
  python,
  rclone,
  restic,
  s3cmd,
} from '../support/clients.ts'
import { describeEachService } from '../support/each-service.ts'
import { seededBytes, sha256Hex } from '../support/plaintext.ts'
import { startProxy, type TestProxy } from '../support/proxy.ts'
import { bodyBytes, s3Client } from '../support/s3-client.ts'

const large = seededBytes('large', 20_000_000)
const marker = 'a text that must never be seen in the storage '.repeat(50)

const boto3Program = `
import boto3, hashlib, io, os, sys
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
bucket = sys.argv[1]
s3 = boto3.client('s3', config=Config(retries={'max_attempts': 1}, signature_version='s3v4'))
s3.create_bucket(Bucket=bucket)
for algorithm in ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256']:
    body = os.urandom(100000)
    s3.put_object(Bucket=bucket, Key='checksum/' + algorithm, Body=io.BytesIO(body), ChecksumAlgorithm=algorithm)
    assert s3.get_object(Bucket=bucket, Key='checksum/' + algorithm)['Body'].read() == body, algorithm
for size in [5 * 1024 * 1024, 8 * 1024 * 1024, 7000000]:
    body = os.urandom(2 * size + 12345)
    config = TransferConfig(multipart_threshold=1, multipart_chunksize=size, max_concurrency=4)
    key = 'multipart/%d' % size
    s3.upload_fileobj(io.BytesIO(body), bucket, key, Config=config, ExtraArgs={'Metadata': {'k': 'v'}})
    out = io.BytesIO()
    s3.download_fileobj(bucket, key, out, Config=config)
    assert out.getvalue() == body, size
    head = s3.head_object(Bucket=bucket, Key=key)
    assert head['ContentLength'] == len(body) and head['Metadata'] == {'k': 'v'}, head
    listed = [o for o in s3.list_objects_v2(Bucket=bucket, Prefix=key)['Contents'] if o['Key'] == key]
    assert listed[0]['Size'] == len(body) and listed[0]['ETag'] == head['ETag'], listed
url = s3.generate_presigned_url('get_object', Params={'Bucket': bucket, 'Key': 'checksum/CRC32'}, ExpiresIn=60)
import urllib.request
assert len(urllib.request.urlopen(url).read()) == 100000
print('done')
`

describeEachService('clients through the proxy', (backend) => {
  let proxy: TestProxy
  let sdk: S3Client
  let folder: string

  beforeAll(async () => {
    proxy = await startProxy(backend)
    sdk = s3Client(proxy)
    folder = await mkdtemp(join(tmpdir(), 'nebulaio-clients-'))
    await mkdir(join(folder, 'tree', 'sub'), { recursive: true })
    await writeFile(join(folder, 'tree', 'small.txt'), marker)
    await writeFile(join(folder, 'tree', 'empty'), '')
    await writeFile(join(folder, 'tree', 'sub', 'large file ü.bin'), large)
  })

  afterAll(async () => {
    await proxy.close()
    await rm(folder, { recursive: true })
  })

  async function succeeds(run: ReturnType<typeof awsCli>): Promise<string> {
    const { code, stdout, stderr } = await run
    expect(code === 0 ? '' : stdout + stderr).toBe('')
    return stdout
  }

  const tree = () => join(folder, 'tree')

  async function isSameTree(copy: string): Promise<boolean> {
    const names = ['small.txt', 'empty', join('sub', 'large file ü.bin')]
    const pairs = names.map(async (name) => {
      const [a, b] = await Promise.all([readFile(join(tree(), name)), readFile(join(copy, name))])
      return a.equals(b)
    })
    return !(await Promise.all(pairs)).includes(false)
  }

  describe.skipIf(!hasPythonClients())('aws-cli', () => {
    test('copies, lists, syncs and sees nothing left to do', async () => {
      const bucket = 'client-aws-cli'
      await succeeds(awsCli(['s3', 'mb', `s3://${bucket}`], proxy))
      const up = ['s3', 'sync', tree(), `s3://${bucket}/tree`]
      await succeeds(awsCli(up, proxy))
      expect(await succeeds(awsCli(up, proxy))).toBe('')
      const listing = await succeeds(awsCli(['s3', 'ls', '--recursive', `s3://${bucket}`], proxy))
      expect(listing).toMatch(/ 20000000 tree\/sub\/large file ü\.bin/)
      const copy = join(folder, 'aws-copy')
      await succeeds(awsCli(['s3', 'sync', `s3://${bucket}/tree`, copy], proxy))
      expect(await isSameTree(copy)).toBe(true)
      const moved = ['s3', 'mv', `s3://${bucket}/tree/small.txt`, `s3://${bucket}/moved.txt`]
      await succeeds(awsCli(moved, proxy))
      await succeeds(awsCli(['s3', 'rb', '--force', `s3://${bucket}`], proxy))
    })
  })

  describe.skipIf(!hasPythonClients())('rclone', () => {
    test('syncs, checks contents and sees nothing left to do', async () => {
      const remote = 's3:client-rclone/tree'
      await succeeds(rclone(['sync', tree(), remote], proxy))
      await succeeds(rclone(['check', '--download', tree(), remote], proxy))
      await succeeds(rclone(['check', tree(), remote], proxy))
      const again = await rclone(['sync', '--dry-run', '-v', tree(), remote], proxy)
      expect(again.code).toBe(0)
      expect(again.stderr).not.toMatch(/Skipped copy|Skipped update/)
      await succeeds(rclone(['moveto', `${remote}/small.txt`, `${remote}/renamed.txt`], proxy))
      expect(await succeeds(rclone(['cat', `${remote}/renamed.txt`], proxy))).toBe(marker)
    })
  })

  test.skipIf(!hasPythonClients())(
    'boto3 transfers with every checksum and part size',
    async () => {
      expect(await succeeds(python(boto3Program, proxy, ['client-boto3']))).toBe('done\n')
    },
  )

  test.skipIf(!hasPythonClients())('s3cmd puts and gets', async () => {
    const file = join(tree(), 'small.txt')
    const copy = join(folder, 's3cmd-copy')
    await succeeds(s3cmd(['mb', 's3://client-s3cmd'], proxy))
    await succeeds(s3cmd(['put', file, 's3://client-s3cmd/x'], proxy))
    await succeeds(s3cmd(['get', 's3://client-s3cmd/x', copy], proxy))
    expect(await readFile(copy, 'utf8')).toBe(marker)
  })

  test.skipIf(!hasRestic())('restic backs up, checks all data and restores', async () => {
    const repository = { bucket: 'client-restic' }
    await succeeds(restic(['init'], proxy, repository))
    await succeeds(restic(['backup', tree()], proxy, repository))
    expect(await succeeds(restic(['check', '--read-data'], proxy, repository))).toContain(
      'no errors were found',
    )
    const target = join(folder, 'restic-copy')
    await succeeds(restic(['restore', 'latest', '--target', target], proxy, repository))
    expect(await isSameTree(join(target, tree()))).toBe(true)
  })

  test('the JavaScript SDK uploads a stream of unknown length in parts', async () => {
    const Bucket = 'client-sdk-js'
    await succeeds(awsCli(['s3', 'mb', `s3://${Bucket}`], proxy))
    const { Readable } = await import('node:stream')
    const pieces = Array.from({ length: 20 }, (_, i) => large.subarray(i * 1e6, (i + 1) * 1e6))
    const upload = new Upload({
      client: sdk,
      params: { Bucket, Key: 'stream', Body: Readable.from(pieces) },
    })
    const done = await upload.done()
    const got = await sdk.send(new GetObjectCommand({ Bucket, Key: 'stream' }))
    expect(sha256Hex(await bodyBytes(got.Body))).toBe(sha256Hex(large))
    expect(got.ETag).toBe(done.ETag)
  })

  test('and the backend holds nothing but ciphertext', async () => {
    const direct = s3Client(backend)
    const raw: Buffer[] = []
    for (const Bucket of ['client-rclone', 'client-restic', 'client-s3cmd', 'client-sdk-js']) {
      const list = await direct.send(new ListObjectsV2Command({ Bucket }))
      for (const { Key } of list.Contents ?? []) {
        const got = await direct.send(new GetObjectCommand({ Bucket, Key }))
        expect(Object.keys(got.Metadata ?? {})).toContain('nebulaio-envelope')
        raw.push(await bodyBytes(got.Body))
      }
    }
    const all = Buffer.concat(raw)
    expect(all.length).toBeGreaterThan(40_000_000)
    for (const plain of ['must never be seen', large.subarray(0, 16), large.subarray(-16)]) {
      expect(all.includes(plain)).toBe(false)
    }
  })
})
