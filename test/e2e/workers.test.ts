import { readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { ListBucketsCommand } from '@aws-sdk/client-s3'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { startProxyProcess, type ProxyProcess } from '../support/proxy-process.ts'
import { newFolder } from '../support/proxy.ts'
import { s3Client } from '../support/s3-client.ts'
import type { S3Target } from '../support/services.ts'

const service = inject('services').seaweedfs

describe.skipIf(service === null)('a proxy with two workers', () => {
  let folder: string
  let proxy: ProxyProcess

  beforeEach(async () => {
    folder = await newFolder()
    proxy = await startProxyProcess(service as S3Target, {
      folder,
      name: 'workers',
      config: { server: { listen: '127.0.0.1:0', workers: 2 } },
    })
  })

  afterEach(async () => {
    await proxy.kill()
    await rm(folder, { recursive: true, force: true })
  })

  const workers = (): number[] =>
    readFileSync(`/proc/${proxy.pid}/task/${proxy.pid}/children`, 'utf8')
      .split(' ')
      .filter((pid) => pid !== '')
      .map(Number)

  const isAlive = (pid: number): boolean => {
    try {
      process.kill(pid, 0)
      return true
    } catch {
      return false
    }
  }

  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) await sleep(50)
  }

  const serves = async (): Promise<boolean> =>
    (await s3Client(proxy).send(new ListBucketsCommand({}))).$metadata.httpStatusCode === 200

  test('replaces one that dies, and serves all the while', async () => {
    const before = workers()
    expect(before).toHaveLength(2)
    process.kill(before[0] ?? 0, 'SIGKILL')
    await until(() => workers().length < 2)
    expect(await serves()).toBe(true)
    await until(() => workers().length === 2)
    expect(await serves()).toBe(true)
    expect(workers()).not.toEqual(before)
  })

  test('ends with all of them on SIGTERM', async () => {
    const pids = workers()
    const ended = new Promise<number | null>((resolve) => proxy.child.once('exit', resolve))
    proxy.child.kill('SIGTERM')
    expect(await ended).toBe(0)
    await until(() => !pids.some(isAlive))
  })

  test('leaves no worker behind when its control process is killed', async () => {
    const pids = workers()
    await proxy.kill()
    await until(() => !pids.some(isAlive))
    expect(pids).toHaveLength(2)
  })
})
