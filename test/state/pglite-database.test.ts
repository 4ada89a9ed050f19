import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { StateChannel } from '../../src/state/channel.ts'
import type { Database } from '../../src/state/database.ts'
import { FolderLockedError } from '../../src/state/folder-lock.ts'
import { openPgliteDatabase } from '../../src/state/pglite-database.ts'
import { StateUnavailableError } from '../../src/state/ports.ts'
import { RemoteStateStore } from '../../src/state/remote-state-store.ts'
import { serveStateStore } from '../../src/state/serve-state-store.ts'
import { openStateStore, type OpeningStateStore } from '../../src/state/state-store.ts'
import { channelPair } from './channel-pair.ts'
import { describeStateStore } from './conformance.ts'
import type { ChildAnswer } from './pglite-child.ts'
import { describeMigrations } from './migration-suite.ts'
import { RecordingLogger } from './recording-logger.ts'

const rounds = process.env['SLOW'] === '1' ? 20 : 3
const base = fs.mkdtempSync(join(tmpdir(), 'nebulaio-state-'))
// Neither folder exists: both are to be created. The database is costly, so one serves all tests.
const folder = join(base, 'deep', 'state')
const url = `file:${folder}`
const options = { timeoutMs: 5_000, onLost: () => {} }
const upload = { bucket: 'b', key: 'k', backendUploadId: 'u', token: 't' }

afterAll(() => fs.rmSync(base, { recursive: true, force: true }))

describe('a new folder', () => {
  let database: Database
  beforeAll(async () => {
    // What a crash in the middle of the first start leaves.
    fs.mkdirSync(join(folder, 'pgdata.unfinished', 'base'), { recursive: true, mode: 0o700 })
    fs.writeFileSync(join(folder, 'pgdata.unfinished', 'PG_VERSION'), '18')
    database = await openPgliteDatabase(folder, options)
  })
  afterAll(() => database.close())

  test('is readable by its owner only, and holds no leftover of an earlier attempt', () => {
    for (const path of [folder, join(folder, 'pgdata')]) {
      expect((fs.statSync(path).mode & 0o777).toString(8)).toBe('700')
    }
    expect(fs.readdirSync(folder).sort()).toEqual(['lock', 'pgdata'])
  })

  test('runs with every guard against a crash', async () => {
    for (const setting of ['fsync', 'full_page_writes', 'synchronous_commit', 'data_checksums']) {
      expect(await database.query(`show ${setting}`)).toEqual([{ [setting]: 'on' }])
    }
    // The one method that reaches fsync through Emscripten: its fdatasync does nothing.
    expect(await database.query('show wal_sync_method')).toEqual([{ wal_sync_method: 'fsync' }])
  })

  test('can be opened by nobody else meanwhile', async () => {
    await expect(openPgliteDatabase(folder, options)).rejects.toThrow(FolderLockedError)
    const store = openStateStore({ url, logger: new RecordingLogger() })
    await expect(store.putUpload(upload)).rejects.toThrow(StateUnavailableError)
    expect(store.health()).toBe('unavailable')
    await store.close()
    expect(fs.existsSync(join(folder, 'lock'))).toBe(true)
  })

  describeMigrations('PGlite', () => database)
})

describe('an existing folder', () => {
  const logger = new RecordingLogger()
  let store: OpeningStateStore
  let remote: RemoteStateStore
  beforeAll(async () => {
    store = openStateStore({ url: pathToFileURL(folder).href, logger, minRetryMs: 20 })
    // No waiting: the first call waits by itself.
    await store.putUpload(upload)
    const [control, worker]: [StateChannel, StateChannel] = channelPair()
    serveStateStore(store, control)
    remote = new RemoteStateStore(worker)
  })
  afterAll(() => store.close())

  describeStateStore('PGlite', () => store)
  describeStateStore('PGlite from a worker', () => remote)

  test('gives the folder free when it closes, after which calls reject', async () => {
    await store.close()
    expect(fs.readdirSync(folder)).toEqual(['pgdata'])
    expect(store.health()).toBe('unavailable')
    await expect(store.putUpload(upload)).rejects.toThrow(StateUnavailableError)
    await expect(remote.putUpload(upload)).rejects.toThrow(StateUnavailableError)
    await expect(store.ready()).rejects.toThrow('closed')
  })
})

describe('in a process of its own', () => {
  const failures = join(base, 'the-disk-fails')
  const flushes = join(base, 'flushes')
  const start = () =>
    fork(join(import.meta.dirname, 'pglite-child.ts'), [url], {
      execArgv: ['--import', join(import.meta.dirname, 'watched-disk.mjs')],
      env: { ...process.env, FLUSHES_FILE: flushes, FAILURES_FILE: failures },
    })
  const put = async (child: ChildProcess, id: string): Promise<ChildAnswer> => {
    child.send(id)
    const [answer] = await once(child, 'message')
    return answer
  }
  const kill = async (child: ChildProcess) => {
    const exit = once(child, 'exit')
    child.kill('SIGKILL')
    await exit
  }
  const find = async (ids: readonly string[]) => {
    const relativeUrl = `file:${relative(process.cwd(), folder)}`
    const store = openStateStore({ url: relativeUrl, logger: new RecordingLogger() })
    await store.ready()
    const found = await store.findUploads('b', ids)
    await store.close()
    return found
  }

  test('flushes every write to the disk before it is acknowledged', async () => {
    const child = start()
    await put(child, 'first')
    for (let i = 0; i < 5; i++) {
      const before = fs.statSync(flushes).size
      expect(await put(child, `${i}`)).toMatchObject({ id: `${i}`, error: null })
      expect(fs.statSync(flushes).size).toBeGreaterThan(before)
    }
    await kill(child)
  })

  test('acknowledges nothing that the disk did not take, and recovers when the disk does', async () => {
    const child = start()
    expect(await put(child, 'kept')).toMatchObject({ id: 'kept', error: null })
    fs.writeFileSync(failures, '')
    expect(await put(child, 'lost')).toEqual({
      id: 'lost',
      error: 'StateUnavailableError',
      losses: [expect.stringContaining('EIO')],
    })
    fs.rmSync(failures)
    await expect.poll(() => put(child, 'later'), { timeout: 20_000 }).toHaveProperty('error', null)
    await kill(child)
    expect([...(await find(['kept', 'later'])).keys()].sort()).toEqual(['kept', 'later'])
  })

  test('keeps what it acknowledged when it is killed while writing, again and again', async () => {
    const acknowledged: string[] = []
    for (let round = 0; round < rounds; round++) {
      const child = start()
      const target = acknowledged.length + 20 + 37 * round
      child.on('message', ({ id, error }: ChildAnswer) => {
        expect(error).toBeNull()
        acknowledged.push(id)
        if (acknowledged.length === target) child.kill('SIGKILL')
      })
      for (let i = 0; i < 1000; i++) child.send(`${round}-${i}`)
      await once(child, 'exit')
      expect(child.signalCode).toBe('SIGKILL')
      expect(fs.existsSync(join(folder, 'lock'))).toBe(true)
    }
    expect(acknowledged.length).toBeGreaterThanOrEqual(20 * rounds)
    const found = await find(acknowledged)
    expect(acknowledged.filter((id) => found.get(id) !== `token ${id}`)).toEqual([])
    // Each round starts a process and a database: on a busy machine that takes its time.
  }, 180_000)
})
