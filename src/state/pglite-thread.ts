// The thread in which the embedded PostgreSQL runs. Its calls are synchronous and it can end at any of
// them, so it gets a thread of its own, which is ended with it.
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { PGlite, messages } from '@electric-sql/pglite'
import { SyncedNodeFs, syncEntry, syncTree } from './durable-files.ts'
import { errorText } from './error-text.ts'
import type { ThreadAnswer, ThreadRequest, ThreadSettings } from './pglite-messages.ts'

const { folder }: ThreadSettings = workerData
const port = parentPort
if (!port) throw new Error('This file is to be run as a worker thread')

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

/** Status of the exception by which PostgreSQL goes on with the next statement after an error. */
const longJumpStatus = 100

const send = (answer: ThreadAnswer) => port.postMessage(answer)

async function start(dataFolder: string): Promise<PGlite> {
  const pglite = await PGlite.create({
    fs: new SyncedNodeFs(dataFolder),
    relaxedDurability: false,
    startParams,
  })
  endWithServer(pglite)
  return pglite
}

/**
 * PGlite drops what PostgreSQL's main loop throws: after a PANIC it would acknowledge a commit that
 * didn't happen, or spin. So all but the long jump ends the thread here.
 */
function endWithServer(pglite: PGlite): void {
  const module: { _PostgresMainLoopOnce(this: void): void } = pglite.Module
  const runOnce = module._PostgresMainLoopOnce
  module._PostgresMainLoopOnce = () => {
    try {
      runOnce()
    } catch (error) {
      const status = error instanceof Object && 'status' in error ? error.status : null
      if (status === longJumpStatus) throw error
      const ended = error instanceof Error ? errorText(error) : `PostgreSQL exit ${String(status)}`
      send({ ended })
      process.exit(1)
    }
  }
}

/** Creates the database aside and renames it, so that a crash can't leave half of one in place. */
async function create(dataFolder: string): Promise<void> {
  const unfinished = join(folder, 'pgdata.unfinished')
  rmSync(unfinished, { recursive: true, force: true })
  mkdirSync(unfinished, { mode: 0o700 })
  const pglite = await start(unfinished)
  await pglite.close()
  syncTree(unfinished)
  renameSync(unfinished, dataFolder)
  syncEntry(folder)
}

async function open(): Promise<PGlite> {
  const dataFolder = join(folder, 'pgdata')
  if (!existsSync(dataFolder)) await create(dataFolder)
  const pglite = await start(dataFolder)
  // No background process of PostgreSQL's does it here.
  await pglite.exec('vacuum')
  return pglite
}

async function answer(pglite: PGlite, { id, text, values }: ThreadRequest): Promise<ThreadAnswer> {
  try {
    const { rows } = await pglite.query(text, [...values])
    return { id, rows }
  } catch (error) {
    // Anything but PostgreSQL's own answer means that it is gone.
    if (!(error instanceof messages.DatabaseError)) throw error
    return { id, error: error.message, sqlState: error.code ?? '' }
  }
}

const pglite = await open()
port.on('message', (request: ThreadRequest | 'close') => {
  if (request === 'close') void pglite.close().finally(() => process.exit())
  else void answer(pglite, request).then(send)
})
send('open')
