import { spawn, type ChildProcess } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { S3Target } from './services.ts'
import { proxyConfig, untilHealthy, type ProxyOptions } from './proxy.ts'

/** A proxy in a process of its own. */
export interface ProxyProcess extends S3Target {
  readonly child: ChildProcess
  readonly pid: number
  /** Ends it at once, as a crash would. */
  kill(): Promise<void>
}

const main = new URL('../../src/main.ts', import.meta.url).pathname

/** Starts `nebulaio serve` with the test configuration in `folder`, on free ports. */
export async function startProxyProcess(
  backend: S3Target,
  options: ProxyOptions & {
    readonly folder: string
    readonly name: string
    readonly nodeOptions?: readonly string[]
  },
): Promise<ProxyProcess> {
  const { settings, client } = proxyConfig(backend, options)
  const file = join(options.folder, `${options.name}.yaml`)
  const state = { url: `file:./state-${options.name}` }
  const logging = { level: 'info' }
  writeFileSync(file, JSON.stringify({ ...settings, state, logging }))
  const args = [...(options.nodeOptions ?? []), main, 'serve', '--config', file]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const { endpoint, adminUrl } = await servingUrls(child)
  await untilHealthy(adminUrl)
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  return {
    endpoint,
    region: 'us-east-1',
    ...client,
    child,
    pid: child.pid ?? 0,
    kill() {
      child.kill('SIGKILL')
      return ended
    },
  }
}

/** The addresses in the log line that says that the proxy serves. */
function servingUrls(child: ChildProcess): Promise<{ endpoint: string; adminUrl: string }> {
  return new Promise((resolve, reject) => {
    let text = ''
    child.stdout?.on('data', (bytes: Buffer) => {
      text = (text + bytes.toString()).slice(-10_000)
      const [, endpoint, adminUrl] = /"s3":"(http[^"]+)","admin":"(http[^"]+)"/.exec(text) ?? []
      if (endpoint !== undefined && adminUrl !== undefined) resolve({ endpoint, adminUrl })
    })
    child.once('exit', (code) => reject(new Error(`the proxy ended with ${code}: ${text}`)))
  })
}
