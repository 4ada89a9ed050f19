import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseConfig } from '../config/load.ts'
import { writePrivate } from '../demo/private-file.ts'
import { startSeaweed, type BackendCredentials } from '../demo/seaweedfs.ts'
import { createLogger } from '../observe/logger.ts'
import { startServer } from '../server.ts'
import { closeOnSignal } from './serve.ts'

export interface DemoOptions {
  readonly listen: string
  readonly adminListen: string
  /** Where everything is kept. */
  readonly data: string
}

/** What is made once and kept. */
interface DemoSecrets {
  readonly client: BackendCredentials
  readonly backend: BackendCredentials
}

/**
 * Serves with a real S3 server as backend, and keys and credentials that are made on the first start
 * and kept under the data folder. Prints how to use it.
 */
export async function startDemo(options: DemoOptions): Promise<void> {
  const data = resolve(options.data)
  mkdirSync(data, { recursive: true, mode: 0o700 })
  const secrets = await demoSecrets(data)
  console.log('starting the demo backend (SeaweedFS) ...')
  const backend = await startSeaweed({
    dataDir: join(data, 'backend'),
    credentials: secrets.backend,
  })
  try {
    const text = demoConfig(options, { secrets, endpoint: backend.endpoint })
    const file = join(data, 'config.yaml')
    await writePrivate(file, text)
    const { config } = parseConfig(text, { env: {}, baseDir: data })
    const server = await startServer(config, createLogger(config.logging))
    closeOnSignal(server, () => backend.stop())
    console.log(usage(server.s3Url, { secrets, file }))
  } catch (error) {
    await backend.stop()
    throw error
  }
}

async function demoSecrets(data: string): Promise<DemoSecrets> {
  const masterKey = join(data, 'master.key')
  if (!existsSync(masterKey)) await writePrivate(masterKey, `${randomBytes(32).toString('hex')}\n`)
  const file = join(data, 'credentials.json')
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as DemoSecrets
  const secrets = { client: newCredentials('CLIENT'), backend: newCredentials('BACKEND') }
  await writePrivate(file, `${JSON.stringify(secrets, null, 2)}\n`)
  return secrets
}

function newCredentials(name: string): BackendCredentials {
  return {
    accessKeyId: `${name}${randomBytes(6).toString('hex').toUpperCase()}`,
    secretAccessKey: randomBytes(20).toString('hex'),
  }
}

function demoConfig(
  options: DemoOptions,
  { secrets, endpoint }: { secrets: DemoSecrets; endpoint: string },
): string {
  const comment =
    '# Written anew by each `npm start`: the demo backend has other ports each time.\n'
  return (
    comment +
    JSON.stringify(
      {
        server: { listen: options.listen, workers: 0 },
        admin: { listen: options.adminListen },
        backend: {
          endpoint,
          access_key_id: secrets.backend.accessKeyId,
          secret_access_key: secrets.backend.secretAccessKey,
        },
        credentials: [
          {
            access_key_id: secrets.client.accessKeyId,
            secret_access_key: secrets.client.secretAccessKey,
          },
        ],
        state: { url: 'file:./state' },
        encryption: {
          enabled: true,
          kms: {
            provider: 'local',
            local: { key_store_path: './keys', master_key_file: './master.key' },
          },
        },
        logging: { level: 'warn' },
      },
      null,
      2,
    )
  )
}

function usage(url: string, { secrets, file }: { secrets: DemoSecrets; file: string }): string {
  const { accessKeyId, secretAccessKey } = secrets.client
  return `
NebulaIO proxy is serving S3 on ${url}

  access key id       ${accessKeyId}
  secret access key   ${secretAccessKey}

Try it:

  AWS_ACCESS_KEY_ID=${accessKeyId} AWS_SECRET_ACCESS_KEY=${secretAccessKey} AWS_DEFAULT_REGION=us-east-1 aws --endpoint-url ${url} s3 mb s3://demo

  rclone copy README.md ":s3,provider=Other,endpoint='${url}',access_key_id=${accessKeyId},secret_access_key=${secretAccessKey}:demo"

  curl --aws-sigv4 aws:amz:us-east-1:s3 --user ${accessKeyId}:${secretAccessKey} ${url}/demo/README.md

Everything is kept under ${file.replace(/\/[^/]*$/, '')}; stop with Ctrl-C.`
}
