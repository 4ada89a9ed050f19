import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { installOnce } from '../../src/demo/cache.ts'
import { runOrThrow } from '../../src/demo/command.ts'
import { answersOk, startDaemon } from '../../src/demo/daemon.ts'
import type { Daemon } from '../../src/demo/daemon.ts'
import { freePorts } from '../../src/demo/ports.ts'
import { startSeaweed as startSeaweedIn } from '../../src/demo/seaweedfs.ts'
import { startCephIn } from './ceph.ts'

export const serviceNames = ['seaweedfs', 'minio', 'versitygw', 'ceph'] as const
export type ServiceName = (typeof serviceNames)[number]

/** How to reach an S3 server, and as whom. */
export interface S3Target {
  readonly endpoint: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

/** A real S3 server on 127.0.0.1; plain data, so that it can be handed to test workers. */
export interface S3Service extends S3Target {
  readonly name: ServiceName
  /** The process that speaks S3. */
  readonly pid: number
}

/** A server that the caller has started and must stop, which deletes its data too. */
export interface OwnedService extends S3Service {
  stop(): Promise<void>
  /** Kills the process on the spot, as a crash would. */
  kill(): void
  /** Halts the process with its connections open; it answers again after `resume`. */
  pause(): void
  resume(): void
}

const region = 'us-east-1'
const credentials = { accessKeyId: 'testkey', secretAccessKey: 'test-secret-key' }
const buildTimeoutMs = 30 * 60_000

/** Starts a server of its own with an empty data folder. Throws if the machine can't have it. */
export const startService: Record<ServiceName, () => Promise<OwnedService>> = {
  seaweedfs: startSeaweed,
  minio: startMinio,
  versitygw: startVersitygw,
  ceph: startCeph,
}

export function startSeaweed(): Promise<OwnedService> {
  return ownedService('seaweedfs', (dataDir) => startSeaweedIn({ dataDir, credentials }))
}

export function startMinio(): Promise<OwnedService> {
  return ownedService('minio', async (dataDir) => {
    const folder = await goInstall({
      module: 'github.com/minio/minio',
      version: 'v0.0.0-20260212201848-7aac2a2c5b7c',
      name: 'minio',
    })
    const [port = 0] = await freePorts(1)
    const endpoint = `http://127.0.0.1:${port}`
    const objects = join(dataDir, 'objects')
    const args = ['server', objects, '--address', `127.0.0.1:${port}`]
    const daemon = await startDaemon(join(folder, 'minio'), args, {
      name: 'MinIO',
      env: {
        PATH: process.env['PATH'],
        HOME: dataDir,
        MINIO_ROOT_USER: credentials.accessKeyId,
        MINIO_ROOT_PASSWORD: credentials.secretAccessKey,
        MINIO_BROWSER: 'off',
        MINIO_UPDATE: 'off',
        MINIO_DOMAIN: 'localhost',
        // Without a key MinIO refuses every request for server-side encryption.
        MINIO_KMS_SECRET_KEY: `test:${Buffer.alloc(32, 'k').toString('base64')}`,
      },
      logFile: join(dataDir, 'minio.log'),
      ready: answersOk(`${endpoint}/minio/health/ready`),
    })
    return { ...daemon, endpoint }
  })
}

export function startVersitygw(): Promise<OwnedService> {
  return ownedService('versitygw', async (dataDir) => {
    const folder = await goInstall({
      module: 'github.com/versity/versitygw/cmd/versitygw',
      version: 'v1.8.0',
      name: 'versitygw',
    })
    const [port = 0] = await freePorts(1)
    const endpoint = `http://127.0.0.1:${port}`
    const objects = join(dataDir, 'objects')
    const versions = join(dataDir, 'versions')
    await Promise.all([mkdir(objects), mkdir(versions)])
    const server = ['--port', `127.0.0.1:${port}`, '--health', '/health', '--quiet']
    const domain = ['--virtual-domain', `localhost:${port}`]
    const store = ['posix', '--versioning-dir', versions, objects]
    const daemon = await startDaemon(join(folder, 'versitygw'), [...server, ...domain, ...store], {
      name: 'versitygw',
      env: {
        PATH: process.env['PATH'],
        HOME: dataDir,
        ROOT_ACCESS_KEY: credentials.accessKeyId,
        ROOT_SECRET_KEY: credentials.secretAccessKey,
      },
      logFile: join(dataDir, 'versitygw.log'),
      ready: answersOk(`${endpoint}/health`),
    })
    return { ...daemon, endpoint }
  })
}

export function startCeph(): Promise<OwnedService> {
  return ownedService('ceph', (dataDir) => startCephIn(dataDir, credentials))
}

/** Builds a Go program once; the result is the folder that holds it. */
function goInstall(program: { module: string; version: string; name: string }): Promise<string> {
  const { module, version, name } = program
  return installOnce(`${name}-${version}`, async (draft) => {
    process.stderr.write(`building ${name} ${version}: takes some minutes, once\n`)
    await runOrThrow('go', ['install', `${module}@${version}`], {
      timeoutMs: buildTimeoutMs,
      env: { ...process.env, GOBIN: draft },
    })
  })
}

type Started = Daemon & { readonly endpoint: string }

async function ownedService(
  name: ServiceName,
  start: (dataDir: string) => Promise<Started>,
): Promise<OwnedService> {
  const dataDir = await mkdtemp(join(tmpdir(), `nebulaio-${name}-`))
  const removeData = () => rm(dataDir, { recursive: true, force: true })
  try {
    const started = await start(dataDir)
    const { pid, endpoint } = started
    return {
      name,
      endpoint,
      region,
      ...credentials,
      pid,
      kill: () => process.kill(pid, 'SIGKILL'),
      pause: () => process.kill(pid, 'SIGSTOP'),
      resume: () => process.kill(pid, 'SIGCONT'),
      stop: async () => {
        await started.stop()
        await removeData()
      },
    }
  } catch (error) {
    await removeData()
    throw error
  }
}
