import { join } from 'node:path'
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { NodeBackendClient } from '../../src/backend/node-client.ts'
import { IntermediateKeys } from '../../src/envelope/intermediate-keys.ts'
import { ObjectKeys } from '../../src/envelope/object-keys.ts'
import { RegistryKeks } from '../../src/envelope/registry-keks.ts'
import { openLocalKeyProvider } from '../../src/kms/local.ts'
import { loadKeyProviders } from '../../src/kms/providers.ts'
import { silentLogger } from '../../src/observe/logger.ts'
import { copyObject } from '../../src/ops/copy-object.ts'
import { LayoutCache } from '../../src/ops/layout-cache.ts'
import type { OperationContext } from '../../src/ops/operation.ts'
import { parseTarget } from '../../src/s3/target.ts'
import { openStateStore } from '../../src/state/state-store.ts'
import { BackendTap } from '../support/backend-tap.ts'
import { describeEachService } from '../support/each-service.ts'
import { seededBytes, sha256Hex } from '../support/plaintext.ts'
import { startProxy, type TestProxy } from '../support/proxy.ts'
import { bodyBytes, s3Client } from '../support/s3-client.ts'

const Bucket = 'copy-parts-e2e'
/** As if the backend copied no more than this in one request; real ones stop at 5 GiB. */
const maxCopySize = 6_000_000

describeEachService('an object that is too large for one copy request', (backend) => {
  let tap: BackendTap
  let proxy: TestProxy

  beforeAll(async () => {
    tap = await BackendTap.start(backend.endpoint)
    proxy = await startProxy({ ...backend, endpoint: tap.endpoint })
    await s3Client(proxy).send(new CreateBucketCommand({ Bucket }))
  })

  afterAll(async () => {
    await proxy.close()
    await tap.close()
  })

  test('is copied in ranges of ciphertext, under a key for its new place', async () => {
    const plain = seededBytes('copied in parts', 15_000_000)
    const s3 = s3Client(proxy)
    const source = { Bucket, Key: 'source', Body: plain, Metadata: { kept: 'yes' } }
    await s3.send(new PutObjectCommand(source))
    tap.requests.length = 0
    expect(await copyWithSmallLimit()).toContain('<CopyObjectResult')
    expect(tap.requests.filter(({ url }) => url.includes('partNumber='))).toHaveLength(3)
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: 'target' }))
    expect(sha256Hex(await bodyBytes(got.Body))).toBe(sha256Hex(plain))
    expect(got.Metadata).toEqual({ kept: 'yes' })
  })

  /** Runs CopyObject as the proxy does, with the small limit; gives the answer's body. */
  async function copyWithSmallLimit(): Promise<string> {
    const local = () =>
      openLocalKeyProvider(
        {
          keyStorePath: join(proxy.folder, 'keys'),
          masterKeyFile: join(proxy.folder, 'master.key'),
          keyName: 'nebulaio-master',
        },
        silentLogger,
      )
    const registry = await loadKeyProviders({
      defaultProvider: 'local',
      open: { local },
      defaultKey: 'nebulaio-master',
      bucketKeys: [],
      additionalDecryptKeys: [],
      referenceDefaults: {},
    })
    const keys = new IntermediateKeys(new RegistryKeks(registry), {
      maxObjects: 10,
      maxAgeMs: 60_000,
      cacheTtlMs: 60_000,
      cacheMaxSize: 10,
    })
    const client = new NodeBackendClient(
      {
        ...backend,
        endpoint: tap.endpoint,
        addressing: 'path',
        payload: 'signed-chunks',
        tls: {},
        connectTimeoutMs: 5_000,
        responseTimeoutMs: 60_000,
        idleTimeoutMs: 60_000,
        retries: 0,
        maxConnections: 10,
      },
      silentLogger,
    )
    const store = openStateStore({
      url: `file:${join(proxy.folder, 'other-state')}`,
      logger: silentLogger,
    })
    let answer = ''
    const context: OperationContext = {
      requestId: 'COPY',
      operation: 'CopyObject',
      method: 'PUT',
      target: parseTarget(`/${Bucket}/target`, { host: undefined, virtualHostDomains: [] }),
      headers: new Map([['x-amz-copy-source', `/${Bucket}/source`]]),
      caller: { accessKeyId: 'test' },
      payload: { kind: 'unsigned' },
      signal: AbortSignal.timeout(60_000),
      log: silentLogger,
      body: { length: null, source: () => expect.unreachable() },
      response: {
        started: false,
        send: (_status, _headers, body) => {
          answer = String(body)
        },
        start: () => expect.unreachable(),
      },
      describeError: String,
    }
    const services = {
      backend: client,
      keys: new ObjectKeys(keys),
      store,
      layouts: new LayoutCache(),
      maxCopySize,
    }
    await copyObject(services)(context)
    await store.close()
    await client.close()
    await registry.close()
    return answer
  }
})
