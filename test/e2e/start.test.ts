import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { GetObjectCommand, ListBucketsCommand } from '@aws-sdk/client-s3'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { runCommand } from '../../src/demo/command.ts'
import { freePorts } from '../../src/demo/ports.ts'
import { hasPythonClients, shell } from '../support/clients.ts'
import { s3Client } from '../support/s3-client.ts'
import type { S3Target } from '../support/services.ts'

const main = new URL('../../src/main.ts', import.meta.url).pathname

interface RunningDemo {
  readonly process: ChildProcess
  readonly output: string
}

let folder = ''
let data = ''
let running: ChildProcess | undefined
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nebulaio-start-'))
  data = join(folder, 'data')
})
afterEach(async () => {
  if (running) await end(running)
  await rm(folder, { recursive: true })
})

async function someAddresses(): Promise<string[]> {
  const [port, adminPort] = await freePorts(2)
  return ['--listen', `127.0.0.1:${port}`, '--admin-listen', `127.0.0.1:${adminPort}`]
}

function spawnDemo(args: string[]): ChildProcess {
  const all = [main, 'start', '--data', data, ...args]
  running = spawn(process.execPath, all, { stdio: ['ignore', 'pipe', 'inherit'] })
  return running
}

/** Starts the demo, and gives what it has printed once it is ready. */
async function start(): Promise<RunningDemo> {
  const child = spawnDemo(await someAddresses())
  let output = ''
  for await (const chunk of child.stdout?.iterator({ destroyOnReturn: false }) ?? []) {
    output += String(chunk)
    if (output.includes('stop with Ctrl-C')) return { process: child, output }
  }
  throw new Error(`the demo ended before it was ready: ${output}`)
}

async function end(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) {
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
  return child.exitCode
}

/** What the demo says about how to reach it. */
function targetIn(output: string): S3Target {
  const value = (name: string) => new RegExp(`${name} +(\\S+)`).exec(output)?.[1] ?? ''
  return {
    endpoint: value('endpoint'),
    region: value('region'),
    accessKeyId: value('access key id'),
    secretAccessKey: value('secret access key'),
  }
}

async function backendEndpoint(): Promise<string> {
  const config = await readFile(join(data, 'config.yaml'), 'utf8')
  return /endpoint: "(.*)"/.exec(config)?.[1] ?? ''
}

async function processList(): Promise<string> {
  return (await runCommand('ps', ['-eo', 'args'], { timeoutMs: 10_000 })).stdout
}

async function backendAnswers(endpoint: string): Promise<boolean> {
  return fetch(`${endpoint}/healthz`).then(
    ({ ok }) => ok,
    () => false,
  )
}

describe.skipIf(inject('services').seaweedfs === null || !hasPythonClients())('the demo', () => {
  test('can be used with the lines that it prints, and keeps everything', async () => {
    const first = await start()
    const lines = first.output.split('\n').filter((line) => /^ {2}(AWS|echo|curl)/.test(line))
    expect(lines).toHaveLength(3)
    for (const line of lines) {
      const { code, stdout, stderr } = await shell(line)
      expect({ line, code, stdout, stderr }).toMatchObject({ code: 0 })
    }
    const backend = await backendEndpoint()
    expect(await backendAnswers(backend)).toBe(true)
    expect(await end(first.process)).toBe(0)
    expect(await backendAnswers(backend)).toBe(false)

    const second = targetIn((await start()).output)
    expect(second).toEqual({ ...targetIn(first.output), endpoint: second.endpoint })
    const s3 = s3Client(second)
    const { Buckets } = await s3.send(new ListBucketsCommand({}))
    expect(Buckets?.map(({ Name }) => Name)).toEqual(['demo-aws', 'demo-rclone'])
    const got = await s3.send(new GetObjectCommand({ Bucket: 'demo-rclone', Key: 'hello.txt' }))
    expect(await got.Body?.transformToString()).toBe('hello\n')
    s3.destroy()
  })

  test('ends, with an error, when its backend has ended', async () => {
    const demo = await start()
    const { stdout } = await runCommand('ps', ['-eo', 'pid,args'], { timeoutMs: 10_000 })
    const backend = stdout.split('\n').find((line) => line.includes(join(data, 'backend')))
    process.kill(Number.parseInt(backend ?? '', 10), 'SIGKILL')
    await once(demo.process, 'exit')
    expect(demo.process.exitCode).toBe(1)
  })

  test('leaves no backend behind when it is stopped during its start', async () => {
    const child = spawnDemo(await someAddresses())
    const log = join(data, 'backend', 'seaweedfs.log')
    while (
      !(await stat(log).then(
        ({ size }) => size > 0,
        () => false,
      ))
    )
      await sleep(20)
    expect(await end(child)).toBe(1)
    // It is killed as the demo ends: the system may take a moment to see it off.
    while ((await processList()).includes(join(data, 'backend'))) await sleep(20)
  })
})

describe('a demo that cannot start', () => {
  const startWith = (...args: string[]) =>
    runCommand(process.execPath, [main, 'start', '--data', data, ...args], { timeoutMs: 60_000 })

  test.each(['--listen', '--admin-listen'])('says which port is taken: %s', async (option) => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const taken = `127.0.0.1:${(server.address() as AddressInfo).port}`
    const { code, stderr } = await startWith(...(await someAddresses()), option, taken)
    server.close()
    expect(code).toBe(1)
    expect(stderr).toContain(
      `can't listen on ${taken}: it is in use; choose another with ${option}`,
    )
  })

  test.each([
    '9000',
    'localhost',
    ':9000',
    'localhost:',
    'localhost:0',
    'a:b:1',
    '127.0.0.1:70000',
  ])('refuses the address %s', async (listen) => {
    const { code, stderr } = await startWith('--listen', listen)
    expect(code).toBe(1)
    expect(stderr).toContain(`--listen: expected host:port, got "${listen}"`)
  })
})
