import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { PGlite, messages } from '@electric-sql/pglite'
import type { Database, OnLost, QueryRunner, Values } from './database.ts'
import { SyncedNodeFs, syncEntry, syncTree } from './durable-files.ts'
import { lockFolder } from './folder-lock.ts'
import { StateUnavailableError } from './ports.ts'
import { isOutage } from './sql-state.ts'

/**
 * PGlite starts PostgreSQL with -F (no fsync); here a commit must be on disk when it is acknowledged.
 * The small cache fits the few rows of the state store and spares 130 MB of memory.
 */
const startParams = [
  ...PGlite.defaultStartParams.filter((parameter) => parameter !== '-F'),
  '-c',
  'wal_sync_method=fsync',
  '-c',
  'shared_buffers=8MB',
]

/**
 * Opens the embedded PostgreSQL in `folder`, which is created (mode 0700) if need be, and locks it
 * until close. Takes seconds when it creates the database, and blocks the event loop meanwhile.
 * Throws FolderLockedError while another process has it open.
 */
export async function openPgliteDatabase(folder: string, onLost: OnLost): Promise<Database> {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const unlock = await lockFolder(join(folder, 'lock'), { onLost })
  try {
    const dataFolder = join(folder, 'pgdata')
    if (!existsSync(dataFolder)) await createDatabase(folder, dataFolder)
    const pglite = await start(dataFolder)
    // No background process of PostgreSQL's does it here.
    await pglite.exec('vacuum')
    return new PgliteDatabase(pglite, unlock)
  } catch (error) {
    unlock()
    throw error
  }
}

/** Creates the database aside and renames it, so that a crash can't leave half of one in place. */
async function createDatabase(folder: string, dataFolder: string): Promise<void> {
  const unfinished = join(folder, 'pgdata.unfinished')
  rmSync(unfinished, { recursive: true, force: true })
  mkdirSync(unfinished, { mode: 0o700 })
  const pglite = await start(unfinished)
  await pglite.close()
  syncTree(unfinished)
  renameSync(unfinished, dataFolder)
  syncEntry(folder)
}

function start(dataFolder: string): Promise<PGlite> {
  return PGlite.create({ fs: new SyncedNodeFs(dataFolder), relaxedDurability: false, startParams })
}

class PgliteDatabase implements Database {
  readonly #pglite: PGlite
  readonly #unlock: () => void

  constructor(pglite: PGlite, unlock: () => void) {
    this.#pglite = pglite
    this.#unlock = unlock
  }

  query<Row>(text: string, values: Values = []): Promise<Row[]> {
    return run(this.#pglite, text, values)
  }

  async transaction<Result>(work: (runner: QueryRunner) => Promise<Result>): Promise<Result> {
    return await this.#pglite.transaction((transaction) =>
      work({ query: (text, values) => run(transaction, text, values) }),
    )
  }

  async close(): Promise<void> {
    try {
      await this.#pglite.close()
    } finally {
      this.#unlock()
    }
  }
}

async function run<Row>(
  target: Pick<PGlite, 'query'>,
  text: string,
  values: Values = [],
): Promise<Row[]> {
  try {
    const { rows } = await target.query<Row>(text, [...values])
    return rows
  } catch (error) {
    // Anything but PostgreSQL's own answer means that the embedded server is gone.
    if (error instanceof messages.DatabaseError && !isOutage(error.code)) throw error
    throw new StateUnavailableError('The embedded state database failed', { cause: error })
  }
}
