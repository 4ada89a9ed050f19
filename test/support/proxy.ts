import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseConfig } from '../../src/config/load.ts'
import { createLogger, silentLogger } from '../../src/observe/logger.ts'
import { signRequest } from '../../src/sigv4/sign.ts'
import { startServer } from '../../src/server.ts'
import type { S3Target } from './services.ts'

/** A proxy in this process, in front of a real backend. */
export interface TestProxy extends S3Target {
  readonly adminUrl: string
  /** Holds keys and state; `keys` is the key store, `master.key` its master key. */
  readonly folder: string
  /** A signed request whose answer is read as it comes, however it ends. */
  signedFetch(key: string, options: { Bucket: string; Range?: string }): Promise<Response>
  close(): Promise<void>
}

export interface ProxyOptions {
  /** Another replica: same keys, same state store. Closing it leaves the folder. */
  readonly sharedWith?: TestProxy
  /** Settings that replace those of the test configuration, section by section. */
  readonly config?: Readonly<Record<string, object>>
  readonly payload?: 'signed-chunks' | 'unsigned'
}

const client = { accessKeyId: 'CLIENTKEY', secretAccessKey: 'client-secret-key' }

/** Starts a proxy on free ports. The caller closes it. */
export async function startProxy(
  backend: S3Target,
  options: ProxyOptions = {},
): Promise<TestProxy> {
  const folder = options.sharedWith?.folder ?? (await newFolder())
  const { settings } = proxyConfig(backend, options)
  const { config } = parseConfig(JSON.stringify(settings), { env: {}, baseDir: folder })
  const logger = process.env['NEBULAIO_TEST_LOG']
    ? createLogger(config.logging)
    : () => silentLogger
  const server = await startServer(config, logger)
  await untilHealthy(server.adminUrl)
  return {
    endpoint: server.s3Url,
    region: 'us-east-1',
    ...client,
    adminUrl: server.adminUrl,
    folder,
    signedFetch: (key, { Bucket, Range }) =>
      signedFetch(server.s3Url, `/${Bucket}/${encodeURI(key)}`, Range),
    async close() {
      await server.close()
      if (!options.sharedWith) await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Waits until the state store is open too: until then irregular uploads can't be completed. */
export async function untilHealthy(adminUrl: string): Promise<void> {
  for (;;) {
    const { status } = (await (await fetch(`${adminUrl}/health`)).json()) as { status: string }
    if (status === 'healthy') return
    await sleep(50)
  }
}

/** The settings of a test proxy, and the credential that its clients use. */
export function proxyConfig(backend: S3Target, options: ProxyOptions = {}) {
  return { settings: { ...testConfig(backend, options), ...options.config }, client }
}

/** A folder with a master key; keys and state of a proxy go in there. */
export async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'nebulaio-proxy-'))
  await writeFile(join(folder, 'master.key'), randomBytes(32).toString('hex'), { mode: 0o600 })
  return folder
}

/** Only one process may open an embedded store: a second replica has one of its own. */
function testConfig(backend: S3Target, options: ProxyOptions): Record<string, object> {
  const state = options.sharedWith ? `state-${randomBytes(4).toString('hex')}` : 'state'
  return {
    server: { listen: '127.0.0.1:0', workers: 0, limits: { shutdown_grace: '1s' } },
    admin: { listen: '127.0.0.1:0' },
    backend: {
      endpoint: backend.endpoint,
      region: backend.region,
      access_key_id: backend.accessKeyId,
      secret_access_key: backend.secretAccessKey,
      payload: options.payload ?? 'signed-chunks',
    },
    credentials: [{ access_key_id: client.accessKeyId, secret_access_key: client.secretAccessKey }],
    state: { url: `file:./${state}` },
    encryption: {
      enabled: true,
      kms: {
        provider: 'local',
        local: { key_store_path: './keys', master_key_file: './master.key' },
      },
    },
    logging: { level: process.env['NEBULAIO_TEST_LOG'] ?? 'error' },
  }
}

function signedFetch(endpoint: string, rawPath: string, range?: string): Promise<Response> {
  const { headers } = signRequest(
    {
      method: 'GET',
      rawPath,
      rawQuery: '',
      headers: { host: new URL(endpoint).host, ...(range === undefined ? {} : { range }) },
    },
    { ...client, region: 'us-east-1', now: new Date(), payloadHash: 'UNSIGNED-PAYLOAD' },
  )
  const { host: _, ...sent } = headers
  return fetch(`${endpoint}${rawPath}`, { headers: sent })
}
