import { resolve } from 'node:path'
import { loadConfig } from '../config/load.ts'
import { isFree } from '../demo/ports.ts'
import { startSeaweed, type BackendCredentials, type Seaweed } from '../demo/seaweedfs.ts'
import { createLogger } from '../observe/logger.ts'
import { startServer, type RunningServer } from '../server.ts'
import { demoSecrets, writeDemoConfig } from './demo-files.ts'
import { closeOnSignal } from './serve.ts'

export interface DemoOptions {
  /** host:port */
  readonly listen: string
  readonly adminListen: string
  /** Where everything is kept. */
  readonly data: string
}

const region = 'us-east-1'

/**
 * Serves with a real S3 server as backend, and keys and credentials that are made on the first start
 * and kept under the data folder. Prints how to use it. Throws if a port is taken, or if the backend
 * can't be installed or started.
 */
export async function startDemo(options: DemoOptions): Promise<void> {
  const data = resolve(options.data)
  await mustBeFree(options.listen, '--listen')
  await mustBeFree(options.adminListen, '--admin-listen')
  const secrets = await demoSecrets(data)
  // The backend ends with this process, but not if a signal ends the process without more ado.
  process.on('SIGINT', exitBeforeReady)
  process.on('SIGTERM', exitBeforeReady)
  console.log('starting the demo backend (SeaweedFS) ...')
  const backend = await startSeaweed({
    dataDir: resolve(data, 'backend'),
    credentials: secrets.backend,
  })
  try {
    const addresses = { ...options, backendEndpoint: backend.endpoint }
    const configFile = await writeDemoConfig(data, secrets, addresses)
    const { config } = loadConfig(configFile, {})
    const server = await startServer(config, createLogger(config.logging))
    process.off('SIGINT', exitBeforeReady)
    process.off('SIGTERM', exitBeforeReady)
    closeTogether(server, backend)
    console.log(usage(server.s3Url, { credentials: secrets.client, data: options.data }))
  } catch (error) {
    await backend.stop()
    throw error
  }
}

function exitBeforeReady(): void {
  process.exit(1)
}

function closeTogether(server: RunningServer, backend: Seaweed): void {
  let isStopping = false
  closeOnSignal(server, () => {
    isStopping = true
    return backend.stop()
  })
  const closeWithBackend = async () => {
    await backend.exited
    if (isStopping) return
    console.error('nebulaio: error: the demo backend has ended; see backend/seaweedfs.log')
    await server.close().finally(() => process.exit(1))
  }
  void closeWithBackend()
}

async function mustBeFree(address: string, option: string): Promise<void> {
  const match = /^(?:\[(?<v6>[\d:a-f]+)\]|(?<host>[^:[\]]+)):(?<port>\d{1,5})$/i.exec(address)
  const host = match?.groups?.['v6'] ?? match?.groups?.['host']
  const port = Number(match?.groups?.['port'])
  if (host === undefined || port < 1 || port > 65_535) {
    throw new Error(`${option}: expected host:port, got ${JSON.stringify(address)}`)
  }
  if (await isFree(port, host)) return
  throw new Error(`can't listen on ${address}: it is in use; choose another with ${option}`)
}

function usage(
  endpoint: string,
  { credentials, data }: { credentials: BackendCredentials; data: string },
): string {
  const lines = linesToPaste(endpoint, credentials)
  const sections = Object.entries(lines).map(([client, line]) => `  # ${client}\n  ${line}\n`)
  return `
NebulaIO proxy is serving S3.

  endpoint           ${endpoint}
  access key id      ${credentials.accessKeyId}
  secret access key  ${credentials.secretAccessKey}
  region             ${region}

To try it, paste a line into another terminal:

${sections.join('\n')}
The data is in ${data}, stop with Ctrl-C.`
}

/** One line for the shell per client program. */
function linesToPaste(endpoint: string, credentials: BackendCredentials): Record<string, string> {
  const { accessKeyId, secretAccessKey } = credentials
  const environment = [
    `AWS_ACCESS_KEY_ID=${accessKeyId}`,
    `AWS_SECRET_ACCESS_KEY=${secretAccessKey}`,
    `AWS_DEFAULT_REGION=${region}`,
  ].join(' ')
  const remote = [
    ':s3,provider=Other',
    `access_key_id=${accessKeyId}`,
    `secret_access_key=${secretAccessKey}`,
    `region=${region}`,
    `endpoint='${endpoint}':demo-rclone/hello.txt`,
  ].join(',')
  const signing = [
    `--aws-sigv4 aws:amz:${region}:s3 --user ${accessKeyId}:${secretAccessKey}`,
    // Older versions of curl sign without this header, which S3 demands.
    '-H x-amz-content-sha256:UNSIGNED-PAYLOAD',
  ].join(' ')
  return {
    'aws-cli': `${environment} aws --endpoint-url ${endpoint} s3 mb s3://demo-aws`,
    rclone: `echo hello | rclone rcat "${remote}"`,
    curl: `curl --fail-with-body ${signing} ${endpoint}/`,
  }
}
