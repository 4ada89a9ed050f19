import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writePrivate } from '../demo/private-file.ts'
import type { BackendCredentials } from '../demo/seaweedfs.ts'

/** The secrets of a demo: made once, kept in its data folder. */
export interface DemoSecrets {
  /** What clients sign with. */
  readonly client: BackendCredentials
  /** What the proxy signs with towards the backend. */
  readonly backend: BackendCredentials
}

export interface DemoAddresses {
  /** host:port of the S3 listener and of the admin listener. */
  readonly listen: string
  readonly adminListen: string
  readonly backendEndpoint: string
}

const masterKeySize = 32

/**
 * Reads the secrets of a data folder, or makes them, with the master key, if the folder is new.
 * Throws if they are damaged, or if the master key of a folder in use is gone.
 */
export async function demoSecrets(dataDir: string): Promise<DemoSecrets> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  const secretsFile = join(dataDir, 'credentials.json')
  const keyFile = join(dataDir, 'master.key')
  const isNew = !existsSync(secretsFile)
  if (!existsSync(keyFile)) {
    if (!isNew) throw new Error(`${keyFile} is gone, and nothing in ${dataDir} is readable without`)
    await writePrivate(keyFile, `${randomBytes(masterKeySize).toString('hex')}\n`)
  }
  if (!isNew) return parseSecrets(await readFile(secretsFile, 'utf8'), secretsFile)
  const secrets = { client: newCredentials(), backend: newCredentials() }
  await writePrivate(secretsFile, `${JSON.stringify(secrets, null, 2)}\n`)
  return secrets
}

/** Writes the configuration that the demo runs with, for the user to look at, and gives its path. */
export async function writeDemoConfig(
  dataDir: string,
  secrets: DemoSecrets,
  addresses: DemoAddresses,
): Promise<string> {
  const file = join(dataDir, 'config.yaml')
  await writePrivate(file, demoConfig(secrets, addresses))
  return file
}

function demoConfig(secrets: DemoSecrets, addresses: DemoAddresses): string {
  const text = (value: string) => JSON.stringify(value)
  return `# Written anew by each start of the demo, whose backend runs only as long as the demo does.
# Paths count from this file's folder.
server:
  listen: ${text(addresses.listen)}
  workers: 0
admin:
  listen: ${text(addresses.adminListen)}
backend:
  endpoint: ${text(addresses.backendEndpoint)}
  access_key_id: ${text(secrets.backend.accessKeyId)}
  secret_access_key: ${text(secrets.backend.secretAccessKey)}
credentials:
  - access_key_id: ${text(secrets.client.accessKeyId)}
    secret_access_key: ${text(secrets.client.secretAccessKey)}
state:
  url: file:state
encryption:
  enabled: true
  kms:
    provider: local
    local:
      key_store_path: keys
      master_key_file: master.key
logging:
  level: warn
`
}

function newCredentials(): BackendCredentials {
  return {
    accessKeyId: `NB${randomBytes(9).toString('hex').toUpperCase()}`,
    secretAccessKey: randomBytes(20).toString('hex'),
  }
}

function parseSecrets(json: string, file: string): DemoSecrets {
  try {
    const parsed: unknown = JSON.parse(json)
    return { client: credentialsIn(parsed, 'client'), backend: credentialsIn(parsed, 'backend') }
  } catch (error) {
    throw new Error(`${file} is damaged; delete it to get new credentials`, { cause: error })
  }
}

function credentialsIn(secrets: unknown, name: string): BackendCredentials {
  const { accessKeyId, secretAccessKey } = record(record(secrets)[name])
  if (typeof accessKeyId !== 'string' || typeof secretAccessKey !== 'string') {
    throw new TypeError(`no credentials for ${name}`)
  }
  return { accessKeyId, secretAccessKey }
}

function record(value: unknown): Partial<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? value : {}
}
