import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { installPythonClients, installRestic } from './client-programs.ts'
import type { PythonClients } from './client-programs.ts'
import { missing } from './missing.ts'
import { serviceNames, startService } from './services.ts'
import type { OwnedService, S3Service, ServiceName } from './services.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** The S3 servers that run during the whole test run, by name; null: missing. */
    services: Record<ServiceName, S3Service | null>
    pythonClients: PythonClients | null
    /** The path of the program. */
    restic: string | null
    /** An empty home folder for client programs. */
    clientHome: string
  }
}

/**
 * Installs what the end-to-end tests need, starts the S3 servers once for all of them, and stops
 * them in the end. `NEBULAIO_TEST_SERVICES` (names with commas between) limits which servers.
 */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const home = await mkdtemp(join(tmpdir(), 'nebulaio-client-home-'))
  const wanted = process.env['NEBULAIO_TEST_SERVICES']?.split(',') ?? serviceNames
  const running: OwnedService[] = []
  const start = async (name: ServiceName): Promise<S3Service | null> => {
    if (!wanted.includes(name)) {
      missing(name, 'not among NEBULAIO_TEST_SERVICES')
      return null
    }
    return orMissing(name, async () => {
      const owned = await startService[name]()
      running.push(owned)
      const { endpoint, region, accessKeyId, secretAccessKey, pid } = owned
      return { name, endpoint, region, accessKeyId, secretAccessKey, pid }
    })
  }
  // In sequence: two builds at once would want twice the memory.
  const startGoServices = async () => ({
    versitygw: await start('versitygw'),
    minio: await start('minio'),
  })
  // Ceph and restic both use apt-get.
  const prepareDebian = async () => ({
    ceph: await start('ceph'),
    restic: await orMissing('restic', installRestic),
  })
  const [seaweedfs, goServices, debian, pythonClients] = await Promise.all([
    start('seaweedfs'),
    startGoServices(),
    prepareDebian(),
    orMissing('boto3, aws-cli, s3cmd, rclone', installPythonClients),
  ])
  project.provide('services', { seaweedfs, ceph: debian.ceph, ...goServices })
  project.provide('pythonClients', pythonClients)
  project.provide('restic', debian.restic)
  project.provide('clientHome', home)
  return async () => {
    await Promise.all(running.map((service) => service.stop()))
    await rm(home, { recursive: true, force: true })
  }
}

async function orMissing<T>(what: string, prepare: () => Promise<T>): Promise<T | null> {
  const startedAt = Date.now()
  try {
    const prepared = await prepare()
    process.stderr.write(`${what}: ready after ${Date.now() - startedAt} ms\n`)
    return prepared
  } catch (error) {
    missing(what, reasons(error))
    return null
  }
}

function reasons(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause ? `${error.message} (${reasons(error.cause)})` : error.message
}
