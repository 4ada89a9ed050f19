import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { answersOk, startDaemon } from '../../src/demo/daemon.ts'
import type { DaemonOptions } from '../../src/demo/daemon.ts'
import { freePorts, isFree } from '../../src/demo/ports.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nebulaio-daemon-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true })
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

function start(program: string, options: Partial<DaemonOptions> = {}) {
  const logFile = join(folder, 'log')
  const written = async () => (await readFile(logFile, 'utf8')).includes('ready')
  const defaults = { name: 'The server', env: {}, logFile, ready: written }
  return startDaemon(process.execPath, ['-e', program], { ...defaults, ...options })
}

const endless = 'setInterval(() => {}, 1000);'

describe('a daemon', () => {
  test('is there when it is ready, and gone after it has been stopped', async () => {
    const daemon = await start(`${endless} console.log('ready')`)
    expect(isAlive(daemon.pid)).toBe(true)
    await daemon.stop()
    await daemon.exited
    expect(isAlive(daemon.pid)).toBe(false)
    await daemon.stop()
  })

  test('may end in its own way before it is killed', async () => {
    const atEnd = `process.on('SIGTERM', () => { console.log('bye'); process.exit() });`
    const daemon = await start(`${endless} ${atEnd} console.log('ready')`)
    await daemon.stop()
    expect(await readFile(join(folder, 'log'), 'utf8')).toBe('ready\nbye\n')
  })

  test('is killed if it does not end when asked', async () => {
    const deaf = `process.on('SIGTERM', () => {});`
    const daemon = await start(`${endless} ${deaf} console.log('ready')`, { stopGraceMs: 100 })
    await daemon.stop()
    expect(isAlive(daemon.pid)).toBe(false)
  })

  test('says so when it ends on its own', async () => {
    const daemon = await start(`console.log('ready'); setTimeout(() => {}, 200)`)
    await daemon.exited
    expect(isAlive(daemon.pid)).toBe(false)
  })

  test('that ends before it is ready is an error with the end of its log', async () => {
    const failing = start(`console.error('no such disk'); process.exit(3)`)
    await expect(failing).rejects.toThrow(/The server ended with code 3[^]*no such disk/)
  })

  test('that is never ready is stopped', async () => {
    const program = `console.log('pid', process.pid); ${endless}`
    const failing = start(program, { readyTimeoutMs: 1000 })
    await expect(failing).rejects.toThrow('The server was not ready within 1000 ms')
    const pid = (await readFile(join(folder, 'log'), 'utf8')).split(' ')[1]
    expect(isAlive(Number(pid))).toBe(false)
  })

  test('whose program does not exist is an error', async () => {
    const options = { name: 'It', env: {}, logFile: join(folder, 'log'), ready: async () => false }
    await expect(startDaemon('/no/such/program', [], options)).rejects.toThrow('ENOENT')
  })
})

describe('the question whether a URL answers', () => {
  test.each([
    [200, true],
    [204, false],
    [503, false],
  ])('status %i means %s', async (status, expected) => {
    const server = createServer((_, response) => response.writeHead(status).end())
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const signal = AbortSignal.timeout(10_000)
    expect(await answersOk(`http://127.0.0.1:${port}/`)(signal)).toBe(expected)
    server.close()
  })
})

describe('free ports', () => {
  test('differ, and are free 10000 higher too', async () => {
    const ports = await freePorts(20)
    expect(new Set(ports).size).toBe(20)
    for (const port of ports) expect(await isFree(port + 10_000)).toBe(true)
  })

  test('a port that a server listens on is not free', async () => {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    expect(await isFree((server.address() as AddressInfo).port)).toBe(false)
    server.close()
  })
})
