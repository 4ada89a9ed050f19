import { resolve } from 'node:path'
import { isFree } from '../demo/ports.ts'
import { startSeaweed } from '../demo/seaweedfs.ts'
import type { BackendCredentials } from '../demo/seaweedfs.ts'
import { demoSecrets, writeDemoConfig } from './demo-files.ts'

export interface StartOptions {
  /** Holds everything: secrets, keys, state, and the backend's objects. */
  readonly dataDir: string
  /** host:port */
  readonly listen: string
  readonly adminListen: string
}

/** Starts the proxy with a configuration file, and gives the way to stop it. */
export type Serve = (configFile: string) => Promise<{ stop(): Promise<void> }>

/** A proxy with a backend of its own. */
export interface Demo {
  readonly endpoint: string
  readonly credentials: BackendCredentials
  readonly configFile: string
  /** Resolves when the backend is gone, whatever ended it. */
  readonly backendExited: Promise<void>
  /** Stops the proxy, then the backend. */
  stop(): Promise<void>
}

const region = 'us-east-1'

/**
 * Starts a backend and the proxy in front of it. The same folder gives the same credentials, keys
 * and objects again. Throws if a port is taken or the backend can't be installed or started.
 */
export async function startDemo(options: StartOptions, serve: Serve): Promise<Demo> {
  const { listen, adminListen } = options
  const dataDir = resolve(options.dataDir)
  await mustBeFree(listen, '--listen')
  await mustBeFree(adminListen, '--admin-listen')
  const secrets = await demoSecrets(dataDir)
  const backend = await startSeaweed({
    dataDir: resolve(dataDir, 'backend'),
    credentials: secrets.backend,
  })
  try {
    const addresses = { listen, adminListen, backendEndpoint: backend.endpoint }
    const configFile = await writeDemoConfig(dataDir, secrets, addresses)
    const proxy = await serve(configFile)
    return {
      endpoint: `http://${listen}`,
      credentials: secrets.client,
      configFile,
      backendExited: backend.exited,
      stop: async () => {
        try {
          await proxy.stop()
        } finally {
          await backend.stop()
        }
      },
    }
  } catch (error) {
    await backend.stop()
    throw error
  }
}

async function mustBeFree(address: string, option: string): Promise<void> {
  const { hostname, port } = hostAndPort(address, option)
  if (await isFree(port, hostname)) return
  throw new Error(`can't listen on ${address}: it is in use; choose another with ${option}`)
}

function hostAndPort(address: string, option: string): { hostname: string; port: number } {
  const match = /^(?:\[(?<v6>[\d:a-f]+)\]|(?<host>[^:[\]]+)):(?<port>\d{1,5})$/i.exec(address)
  const hostname = match?.groups?.['v6'] ?? match?.groups?.['host']
  const port = Number(match?.groups?.['port'])
  if (hostname === undefined || port < 1 || port > 65_535) {
    throw new Error(`${option}: expected host:port, got ${JSON.stringify(address)}`)
  }
  return { hostname, port }
}

/** One line for the shell per client program; each makes or lists something at the endpoint. */
export function linesToPaste(
  demo: Pick<Demo, 'endpoint' | 'credentials'>,
): Record<'aws-cli' | 'rclone' | 'curl', string> {
  const { endpoint } = demo
  const { accessKeyId, secretAccessKey } = demo.credentials
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

/** What the user needs to see after the start. */
export function welcome(demo: Demo, dataDir: string): string {
  const { endpoint, credentials, configFile } = demo
  const lines = Object.entries(linesToPaste(demo)).map(([name, line]) => `  # ${name}\n  ${line}\n`)
  return `
NebulaIO proxy is ready.

  endpoint           ${endpoint}
  access key id      ${credentials.accessKeyId}
  secret access key  ${credentials.secretAccessKey}
  region             ${region}

To try it, paste a line into another terminal:

${lines.join('\n')}
The data is in ${dataDir}, the configuration in ${configFile}. Stop with Ctrl-C.
`
}

/** Runs the demo until a signal or the end of its backend; resolves with the exit code. */
export async function runDemo(options: StartOptions, serve: Serve): Promise<number> {
  // From the beginning: a signal during the start must not leave a backend behind.
  const signalled = endSignal()
  const demo = await startDemo(options, serve)
  console.log(welcome(demo, options.dataDir))
  const backendGone = demo.backendExited.then(() => 'backend' as const)
  const reason = await Promise.race([signalled, backendGone])
  if (reason === 'backend') console.error('the backend has ended; see backend/seaweedfs.log')
  await demo.stop()
  return reason === 'backend' ? 1 : 0
}

/** Resolves at the first SIGINT or SIGTERM, neither of which ends the process from now on. */
export function endSignal(): Promise<'signal'> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => resolve('signal'))
  })
}
