import { readdirSync, readFileSync } from 'node:fs'
import { rename } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { freePorts } from '../../src/demo/ports.ts'
import {
  commandFolder,
  commandSettings,
  type CommandFolder,
  type CommandRun,
} from '../support/command-folder.ts'

const waitMs = 60_000

let cli: CommandFolder
beforeEach(async () => {
  cli = await commandFolder()
})
afterEach(() => cli.remove())

function withWorkers(more: object = {}): object {
  const limits = { shutdown_grace: '1s' }
  return commandSettings({ server: { listen: '127.0.0.1:0', workers: 2, limits, ...more } })
}

interface Serving extends CommandRun {
  readonly s3: string
  readonly admin: string
  readonly pid: number
}

async function serving(settings = withWorkers()): Promise<Serving> {
  const run = cli.start('serve', '--config', await cli.configFile(settings))
  const line = () => run.output.out.split('\n').find((text) => text.includes('"msg":"serving"'))
  await until(() => {
    if (run.child.exitCode !== null) throw new Error(run.output.err + run.output.out)
    return line() !== undefined
  })
  const { s3, admin } = JSON.parse(line() ?? '') as { s3: string; admin: string }
  return { ...run, s3, admin, pid: pidOf(run) }
}

function pidOf({ child: { pid } }: CommandRun): number {
  if (pid === undefined) throw new Error('the command could not be started')
  return pid
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + waitMs
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('does not happen')
    await sleep(25)
  }
}

/** The processes whose parent is this one, as Linux tells. */
function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && parentOf(name) === parent)
    .map(Number)
}

/** The two workers of a proxy; never something that `kill` takes for a group of processes. */
function workersOf({ pid }: Serving): [number, number] {
  const [one, other, ...more] = childrenOf(pid)
  if (!one || !other || more.length > 0) throw new Error('there are not two workers')
  return [one, other]
}

function parentOf(pid: string): number | null {
  try {
    return Number(
      readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) . /s, '')
        .split(' ')[0],
    )
  } catch {
    return null
  }
}

function isRunning(pid: number): boolean {
  return parentOf(String(pid)) !== null
}

/** The status and the body of a request that nobody signed, over a connection of its own. */
async function unsigned(s3: string): Promise<[status: number, body: string]> {
  const response = await fetch(`${s3}/bucket/key`, { headers: { connection: 'close' } })
  return [response.status, await response.text()]
}

const refusal = [403, expect.stringContaining('<Code>AccessDenied</Code>')]

describe('a proxy with two workers', () => {
  test('serves with both, replaces one that is killed, and ends with all of them', async () => {
    const proxy = await serving()
    const before = workersOf(proxy)
    // Connections go to the workers in turn.
    for (let i = 0; i < 4; i += 1) expect(await unsigned(proxy.s3)).toEqual(refusal)

    process.kill(before[0], 'SIGKILL')
    await until(() => !isRunning(before[0]))
    for (let i = 0; i < 4; i += 1) expect(await unsigned(proxy.s3)).toEqual(refusal)
    await until(() => childrenOf(proxy.pid).length === 2)
    const after = childrenOf(proxy.pid)
    expect(after).toContain(before[1])
    expect(after).not.toContain(before[0])

    proxy.child.kill('SIGTERM')
    expect(await proxy.ended).toBe(0)
    expect([...before, ...after].filter(isRunning)).toEqual([])
    expect(proxy.output.err).toBe('')
  })

  test('tries again until a worker comes up, and is not ready without any', async () => {
    // Port 0 would be another one once no worker is left to hold it.
    const [port] = await freePorts(1)
    const proxy = await serving(withWorkers({ listen: `127.0.0.1:${port}` }))
    const keys = join(cli.folder, 'keys')
    const ready = async () => (await fetch(`${proxy.admin}/health/ready`)).status
    expect(await ready()).toBe(200)

    // Without its header the key store is damaged, so no worker can open it.
    await rename(join(keys, 'keystore.json'), join(cli.folder, 'away'))
    for (const pid of workersOf(proxy)) process.kill(pid, 'SIGKILL')
    const failures = () => proxy.output.out.split('worker did not come up').length - 1
    await until(() => failures() >= 3)
    expect(await ready()).toBe(503)
    expect((await fetch(`${proxy.admin}/health`)).status).toBe(503)
    expect((await fetch(`${proxy.admin}/health/live`)).status).toBe(200)

    await rename(join(cli.folder, 'away'), join(keys, 'keystore.json'))
    await until(async () => (await ready()) === 200)
    expect(await unsigned(proxy.s3)).toEqual(refusal)
    proxy.child.kill('SIGTERM')
    expect(await proxy.ended).toBe(0)
  })

  test('kills a worker that does not end in its time', async () => {
    const proxy = await serving()
    const pids = workersOf(proxy)
    process.kill(pids[0], 'SIGSTOP')
    proxy.child.kill('SIGTERM')
    expect(await proxy.ended).toBe(0)
    expect(pids.filter(isRunning)).toEqual([])
  })

  test('ends with 1 and the reason, and no worker, if the address is in use', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    const file = await cli.configFile(withWorkers({ listen: `127.0.0.1:${port}` }))
    const run = cli.start('serve', '--config', file)
    expect(await run.ended).toBe(1)
    other.close()
    expect(run.output.err).toMatch(/^nebulaio: error: .*EADDRINUSE.*\n$/)
    expect(childrenOf(pidOf(run))).toEqual([])
  })
})

describe('while requests in flight are finished', () => {
  test('the proxy is alive but not ready', async () => {
    const limits = { shutdown_grace: '10m', header_timeout: '10m' }
    const proxy = await serving(withWorkers({ limits }))
    const { hostname, port } = new URL(proxy.s3)
    const socket = connect(Number(port), hostname)
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    // A request that never ends keeps the worker waiting.
    socket.write('PUT /bucket/key HTTP/1.1\r\nhost: x\r\n')
    const status = async (path: string) => (await fetch(`${proxy.admin}/health/${path}`)).status
    expect(await status('ready')).toBe(200)
    proxy.child.kill('SIGTERM')
    await until(async () => (await status('ready')) === 503)
    expect(await status('live')).toBe(200)
    socket.destroy()
    expect(await proxy.ended).toBe(0)
  })
})
