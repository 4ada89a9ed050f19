import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { NewerSchemaError } from '../../src/state/migrate.ts'
import { StateUnavailableError } from '../../src/state/ports.ts'
import { PostgresDatabase } from '../../src/state/postgres-database.ts'
import { openStateStore, type OpeningStateStore } from '../../src/state/state-store.ts'
import { startPostgres } from '../support/postgres.ts'
import { describeStateStore } from './conformance.ts'
import { describeMigrations } from './migration-suite.ts'
import { RecordingLogger } from './recording-logger.ts'

const timing = { openWaitMs: 500, timeoutMs: 1_000, minRetryMs: 20, maxRetryMs: 100 }
const upload = { bucket: 'b', key: 'k', backendUploadId: 'u', token: 't' }

const as = (url: string, username: string, password: string) =>
  Object.assign(new URL(url), { username, password }).href

const opened: OpeningStateStore[] = []
const open = (url: string, logger = new RecordingLogger()) => {
  const store = openStateStore({ url, logger, ...timing })
  opened.push(store)
  return store
}
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close()
})

const server = await startPostgres()
afterAll(() => server?.remove())

describe.skipIf(server === null)('on a PostgreSQL server', () => {
  const createDatabase = async () => (await server?.createDatabase()) ?? ''
  const sql = async (url: string, ...statements: string[]) => {
    const database = new PostgresDatabase(url, { timeoutMs: 5_000, onLost: () => {} })
    try {
      for (const statement of statements) await database.query(statement)
    } finally {
      await database.close()
    }
  }

  describe('shared', () => {
    let database: PostgresDatabase
    let store: OpeningStateStore
    beforeAll(async () => {
      const logger = new RecordingLogger()
      database = new PostgresDatabase(await createDatabase(), {
        timeoutMs: 5_000,
        onLost: () => {},
      })
      store = openStateStore({ url: await createDatabase(), logger })
      await store.ready()
    })
    afterAll(async () => {
      await database.close()
      await store.close()
    })
    describeMigrations('PostgreSQL', () => database)
    describeStateStore('PostgreSQL', () => store)
  })

  test('replicas that start at once on an empty database all become ready', async () => {
    const url = await createDatabase()
    const stores = [open(url), open(url), open(url), open(url)]
    await Promise.all(stores.map((store) => store.ready()))
    await stores[0]?.putUpload(upload)
    expect(await stores[3]?.findUploads('b', ['u'])).toEqual(new Map([['u', 't']]))
  })

  test('a role without the right to create opens a database that is migrated', async () => {
    const url = await createDatabase()
    const first = open(url)
    await first.ready()
    await sql(
      url,
      `create role limited login password 'limited'`,
      'grant usage on schema nebulaio to limited',
      'grant select, insert, update, delete on all tables in schema nebulaio to limited',
    )
    const limited = open(as(url, 'limited', 'limited'))
    await limited.ready()
    await limited.putUpload(upload)
    expect(await first.findUploads('b', ['u'])).toEqual(new Map([['u', 't']]))
  })

  test('a newer schema ends the attempts with a clear error', async () => {
    const url = await createDatabase()
    await open(url).ready()
    await sql(url, 'insert into nebulaio.schema_version (version) values (999)')
    const store = open(url)
    await expect(store.ready()).rejects.toThrow(NewerSchemaError)
    await expect(store.ready()).rejects.toThrow('schema version 999')
    expect(store.health()).toBe('unavailable')
    await expect(store.putUpload(upload)).rejects.toThrow(StateUnavailableError)
  })

  test('a wrong password is an outage that ends when the server accepts it', async () => {
    const url = await createDatabase()
    await sql(url, `create role late login superuser password 'late-secret-1'`)
    const logger = new RecordingLogger()
    const store = open(as(url, 'late', 'late-secret-2'), logger)
    await expect(store.hasCompleteRecords('b')).rejects.toThrow(StateUnavailableError)
    expect(store.health()).toBe('unavailable')
    expect(JSON.stringify(logger.lines)).not.toContain('late-secret')
    await sql(url, `alter role late password 'late-secret-2'`)
    await store.ready()
    expect(await store.hasCompleteRecords('b')).toBe(false)
  })

  test('a connection that the server ends is replaced without a restart', async () => {
    const url = await createDatabase()
    const store = open(url)
    await store.putUpload(upload)
    await sql(
      url,
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid()`,
    )
    await expect
      .poll(() => store.findUploads('b', ['u']).catch(() => null))
      .toEqual(new Map([['u', 't']]))
    expect(store.health()).toBe('ready')
  })

  test('a read-only server is an outage, not an error of the caller', async () => {
    const url = await createDatabase()
    const store = open(url)
    await store.ready()
    await sql(
      url,
      `alter database ${new URL(url).pathname.slice(1)} set default_transaction_read_only = on`,
    )
    const readOnly = open(url)
    await readOnly.ready()
    await expect(readOnly.putUpload(upload)).rejects.toThrow(StateUnavailableError)
    expect(await readOnly.findUploads('b', ['u'])).toEqual(new Map())
  })

  test('an outage is noticed without a call, calls reject, and all rows are back after it', async () => {
    const url = await createDatabase()
    const store = open(url)
    await store.putUpload(upload)
    expect(store.health()).toBe('ready')
    await server?.kill()
    await expect.poll(() => store.health()).toBe('unavailable')
    await expect(store.putUpload(upload)).rejects.toThrow(StateUnavailableError)
    await expect(store.findLayouts('b', ['k'])).rejects.toThrow(StateUnavailableError)
    await server?.start()
    await store.ready()
    expect(await store.findUploads('b', ['u'])).toEqual(new Map([['u', 't']]))
  })

  test('calls under way when the server dies reject', async () => {
    const url = await createDatabase()
    const store = open(url)
    await store.ready()
    const settled = Promise.allSettled(
      Array.from({ length: 2_000 }, (_, i) => store.findLayouts('b', [`${i}`])),
    )
    await server?.kill()
    const rejected = (await settled).filter((result) => result.status === 'rejected')
    expect(rejected.length).toBeGreaterThan(0)
    for (const { reason } of rejected) expect(reason).toBeInstanceOf(StateUnavailableError)
    await expect(store.hasCompleteRecords('b')).rejects.toThrow(StateUnavailableError)
    await server?.start()
    await store.ready()
  })
})

describe('without a PostgreSQL server', () => {
  test('a server that accepts connections and says nothing makes calls reject, not hang', async () => {
    const sockets = new Set<Socket>()
    const mute = createServer((socket) => sockets.add(socket)).listen(0, '127.0.0.1')
    await once(mute, 'listening')
    const { port } = mute.address() as AddressInfo
    const store = open(`postgres://u:p@127.0.0.1:${port}/db`)
    await expect(store.putUpload(upload)).rejects.toThrow(StateUnavailableError)
    await expect.poll(() => store.health()).toBe('unavailable')
    await expect(store.findUploads('b', ['u'])).rejects.toThrow(StateUnavailableError)
    await store.close()
    for (const socket of sockets) socket.destroy()
    mute.close()
  })

  test('a port where nobody listens makes calls reject and ready wait until close', async () => {
    const logger = new RecordingLogger()
    const store = open('postgres://user:pass-word@127.0.0.1:1/db', logger)
    const ready = Promise.allSettled([store.ready()])
    await expect(store.putUpload(upload)).rejects.toThrow(StateUnavailableError)
    await expect.poll(() => logger.lines.length).toBeGreaterThan(2)
    expect(JSON.stringify(logger.lines)).toContain('ECONNREFUSED')
    expect(JSON.stringify(logger.lines)).not.toContain('pass-word')
    await store.close()
    expect(await ready).toEqual([{ status: 'rejected', reason: expect.any(StateUnavailableError) }])
  })

  test.each([
    'mysql://h/db',
    'https://h',
    'file:',
    '',
    'data',
    'postgres:/h',
    'postgres://u:a#b@h/d',
  ])('the URL %j is refused at once', (url) => {
    expect(() => openStateStore({ url, logger: new RecordingLogger() })).toThrow(TypeError)
  })
})
