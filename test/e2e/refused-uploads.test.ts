import { createHash, randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import {
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  UploadPartCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { signRequest } from '../../src/sigv4/sign.ts'
import { BackendTap } from '../support/backend-tap.ts'
import { describeEachService } from '../support/each-service.ts'
import { seededBytes } from '../support/plaintext.ts'
import { startProxy, type TestProxy } from '../support/proxy.ts'
import { bodyBytes, s3Client } from '../support/s3-client.ts'

const Bucket = 'refused-e2e'
const Key = 'victim'
const good = seededBytes('good', 300_000)
const bad = seededBytes('bad', 300_000)

describeEachService('an upload that is refused or broken off', (backend) => {
  let tap: BackendTap
  let proxy: TestProxy
  let s3: S3Client

  beforeAll(async () => {
    tap = await BackendTap.start(backend.endpoint)
    proxy = await startProxy({ ...backend, endpoint: tap.endpoint })
    s3 = s3Client(proxy)
    await s3.send(new CreateBucketCommand({ Bucket }))
  })

  beforeEach(async () => {
    tap.fault = () => null
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: good }))
  })

  afterAll(async () => {
    await proxy.close()
    await tap.close()
  })

  async function expectUntouched(): Promise<void> {
    const got = await s3.send(new GetObjectCommand({ Bucket, Key }))
    expect((await bodyBytes(got.Body)).equals(good)).toBe(true)
    const list = await s3.send(new ListObjectsV2Command({ Bucket }))
    expect(list.Contents?.map((object) => object.Key)).toEqual([Key])
  }

  interface RawPut {
    readonly headers?: Record<string, string>
    readonly payloadHash?: string
    readonly body?: Buffer
    /** Bytes after which the client goes away. */
    readonly goneAfter?: number
    readonly length?: number
    readonly path?: string
  }

  /** Sends one PUT over a bare socket; gives the head of the answer, '' if there was none. */
  function rawPut(put: RawPut): Promise<string> {
    const { hostname, port, host } = new URL(proxy.endpoint)
    const body = put.body ?? bad
    const rawPath = put.path ?? `/${Bucket}/${Key}`
    const { headers } = signRequest(
      { method: 'PUT', rawPath, rawQuery: '', headers: { host, ...put.headers } },
      { ...proxy, now: new Date(), payloadHash: put.payloadHash ?? 'UNSIGNED-PAYLOAD' },
    )
    const length = { 'content-length': String(put.length ?? body.length) }
    const lines = Object.entries({ ...headers, ...length }).map(
      ([name, value]) => `${name}: ${value}\r\n`,
    )
    return new Promise((resolve) => {
      const socket = connect(Number(port), hostname)
      let answer = ''
      socket.on('data', (bytes) => {
        answer += bytes.toString('latin1')
        if (answer.includes('</Error>') || /^HTTP\/1.1 200/.test(answer)) socket.end()
      })
      socket.on('error', () => undefined)
      socket.on('close', () => resolve(answer))
      socket.write(`PUT ${rawPath} HTTP/1.1\r\n${lines.join('')}\r\n`)
      if (put.goneAfter === undefined) socket.write(body)
      else
        socket.write(body.subarray(0, put.goneAfter), () => setTimeout(() => socket.destroy(), 100))
    })
  }

  const md5 = createHash('md5').update(good).digest('base64')
  const framed = (data: Buffer, crc: string) =>
    Buffer.concat([
      Buffer.from(`${data.length.toString(16)}\r\n`),
      data,
      Buffer.from(`\r\n0\r\nx-amz-checksum-crc32:${crc}\r\n\r\n`),
    ])
  const chunked = (decodedLength: number) => ({
    'x-amz-decoded-content-length': String(decodedLength),
    'x-amz-trailer': 'x-amz-checksum-crc32',
    'content-encoding': 'aws-chunked',
  })

  const cases: [name: string, code: string, put: RawPut][] = [
    ['a wrong Content-MD5', 'BadDigest', { headers: { 'content-md5': md5 } }],
    [
      'a wrong payload hash',
      'XAmzContentSHA256Mismatch',
      { payloadHash: createHash('sha256').update(good).digest('hex') },
    ],
    [
      'a wrong checksum header',
      'BadDigest',
      { headers: { 'x-amz-checksum-sha256': randomBytes(32).toString('base64') } },
    ],
    [
      'a wrong trailing checksum',
      'BadDigest',
      {
        headers: chunked(bad.length),
        payloadHash: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
        body: framed(bad, 'AAAAAA=='),
      },
    ],
    [
      'a decoded length that is too large',
      'IncompleteBody',
      {
        headers: chunked(bad.length + 1),
        payloadHash: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
        body: framed(bad, 'AAAAAA=='),
      },
    ],
    [
      'bad chunk framing',
      'InvalidRequest',
      {
        headers: chunked(bad.length),
        payloadHash: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
        body: Buffer.concat([Buffer.from('zz\r\n'), bad]),
      },
    ],
    [
      'a wrong chunk signature',
      'SignatureDoesNotMatch',
      {
        headers: { 'x-amz-decoded-content-length': String(bad.length) },
        payloadHash: 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
        body: Buffer.concat([
          Buffer.from(`${bad.length.toString(16)};chunk-signature=${'0'.repeat(64)}\r\n`),
          bad,
          Buffer.from(`\r\n0;chunk-signature=${'0'.repeat(64)}\r\n\r\n`),
        ]),
      },
    ],
  ]

  test.each(cases)('by %s answers %s and leaves the object as it was', async (_, code, put) => {
    expect(await rawPut(put)).toContain(`<Code>${code}</Code>`)
    await expectUntouched()
  })

  test.each([0, 1, 150_000, 299_999])(
    'by a client that goes away after %i bytes leaves the object as it was',
    async (goneAfter) => {
      expect(await rawPut({ goneAfter })).toBe('')
      await expectUntouched()
    },
  )

  test('under a new key leaves nothing there', async () => {
    expect(await rawPut({ goneAfter: 200_000, path: `/${Bucket}/fresh` })).toBe('')
    await rawPut({ headers: { 'content-md5': md5 }, path: `/${Bucket}/fresh` })
    await expectUntouched()
  })

  test('by a backend that breaks off answers 503 and leaves the object as it was', async () => {
    tap.fault = ({ method }) => (method === 'PUT' ? { cutRequestAfter: 100_000 } : null)
    await expect(s3.send(new PutObjectCommand({ Bucket, Key, Body: bad }))).rejects.toMatchObject({
      $metadata: { httpStatusCode: 503 },
    })
    tap.fault = () => null
    await expectUntouched()
  })

  test('as a part leaves no part behind', async () => {
    const multipart = { Bucket, Key: 'parts' }
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand(multipart))
    const part = { ...multipart, UploadId, PartNumber: 1, Body: bad }
    await expect(
      s3.send(
        new UploadPartCommand({ ...part, ChecksumSHA256: randomBytes(32).toString('base64') }),
      ),
    ).rejects.toMatchObject({ name: 'BadDigest' })
    const listed = await s3.send(new ListPartsCommand({ ...multipart, UploadId }))
    expect(listed.Parts ?? []).toEqual([])
    await expect(
      s3.send(
        new CompleteMultipartUploadCommand({
          ...multipart,
          UploadId,
          MultipartUpload: { Parts: [{ PartNumber: 1, ETag: '"x"' }] },
        }),
      ),
    ).rejects.toMatchObject({ name: 'InvalidPart' })
  })

  test('a read whose backend breaks off never ends cleanly', async () => {
    tap.fault = ({ method }) => (method === 'GET' ? { cutResponseAfter: 150_000 } : null)
    const received: Buffer[] = []
    let isWhole = false
    try {
      const response = await proxy.signedFetch(Key, { Bucket })
      for await (const chunk of response.body ?? []) received.push(Buffer.from(chunk))
      isWhole = response.status === 200
    } catch {
      isWhole = false
    }
    const bytes = Buffer.concat(received)
    expect(isWhole).toBe(false)
    expect(bytes.equals(good.subarray(0, bytes.length))).toBe(true)
  })
})
