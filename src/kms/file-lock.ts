import { setTimeout as delay } from 'node:timers/promises'
import { DatabaseSync } from 'node:sqlite'
import { KeyStoreError } from './key-store-error.ts'

const sqliteBusy = 5
const pollIntervalMs = 20

/**
 * Runs `task` while no other task, in this process or another one, holds the lock on `path`.
 * Throws {@link KeyStoreError} if the lock stays taken for `timeoutMs`; an aborted wait rejects
 * with the signal's reason. Once begun, the task isn't interrupted.
 */
export async function withFileLock<T>(
  path: string,
  task: () => Promise<T>,
  options: { timeoutMs: number; signal?: AbortSignal | undefined },
): Promise<T> {
  const lock = await takeLock(path, options)
  try {
    return await task()
  } finally {
    lock.close()
  }
}

async function takeLock(
  path: string,
  { timeoutMs, signal }: { timeoutMs: number; signal?: AbortSignal | undefined },
): Promise<DatabaseSync> {
  const giveUpAt = performance.now() + timeoutMs
  for (;;) {
    signal?.throwIfAborted()
    const lock = tryLock(path)
    if (lock !== null) return lock
    if (performance.now() >= giveUpAt) {
      throw new KeyStoreError(path, `another process has held this lock for ${timeoutMs} ms`)
    }
    await delay(pollIntervalMs * (0.5 + Math.random()))
  }
}

/**
 * Node has no call for file locks of its own; SQLite's are the kernel's. So a process that dies
 * lets go of its lock, and none has to be judged stale by its age or by a process id, which
 * containers that share a folder don't share.
 */
function tryLock(path: string): DatabaseSync | null {
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path, { timeout: 0 })
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    return database
  } catch (error) {
    database?.close()
    if (isBusy(error)) return null
    const reason = error instanceof Error ? error.message : String(error)
    throw new KeyStoreError(path, `can't be locked: ${reason}`, { cause: error })
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === sqliteBusy
}
