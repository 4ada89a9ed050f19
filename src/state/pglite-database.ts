import { mkdirSync } from 'node:fs'
import { extname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import type { Database, OnLost, QueryRunner, Values } from './database.ts'
import { lockFolder } from './folder-lock.ts'
import { PendingCalls } from './pending-calls.ts'
import type {
  StatementAnswer,
  ThreadAnswer,
  ThreadRequest,
  ThreadSettings,
} from './pglite-messages.ts'
import { StateUnavailableError } from './ports.ts'
import { isOutage } from './sql-state.ts'

/** Creating the database takes seconds, recovery after a crash may too. */
const openTimeoutMs = 120_000
const closeTimeoutMs = 10_000
const maxPending = 10_000
/** The source runs as .ts, the build as .js. */
const threadFile = new URL(`./pglite-thread${extname(import.meta.url)}`, import.meta.url)

export interface PgliteOptions {
  /** For each answer. */
  readonly timeoutMs: number
  readonly onLost: OnLost
}

/**
 * Opens the embedded PostgreSQL in `folder`, which is created (mode 0700) if need be, and locks it
 * until close. It runs in a thread of its own. Throws FolderLockedError while another process has the
 * folder open, StateUnavailableError if the database doesn't start.
 */
export async function openPgliteDatabase(
  folder: string,
  options: PgliteOptions,
): Promise<Database> {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const unlock = await lockFolder(join(folder, 'lock'), options)
  const database = new PgliteDatabase(folder, { ...options, unlock })
  try {
    await database.opened()
    return database
  } catch (error) {
    await database.close()
    throw error
  }
}

type ThreadOptions = PgliteOptions & { readonly unlock: () => void }

class PgliteDatabase implements Database {
  readonly #thread: Worker
  readonly #options: ThreadOptions
  readonly #pending: PendingCalls<StatementAnswer>
  readonly #opening = Promise.withResolvers<void>()
  readonly #exit = Promise.withResolvers<void>()
  /** Ended, or so that it must be ended without asking it. */
  #isBroken = false

  constructor(folder: string, options: ThreadOptions) {
    const { timeoutMs } = options
    const settings: ThreadSettings = { folder }
    this.#options = options
    this.#pending = new PendingCalls({ timeoutMs, maxPending, peer: 'The embedded database' })
    this.#thread = new Worker(threadFile, { workerData: settings })
    this.#thread.on('message', (answer: ThreadAnswer) => {
      if (answer === 'open') this.#opening.resolve()
      else if ('ended' in answer) this.#break(new Error(answer.ended))
      else this.#pending.settle(answer.id, answer)
    })
    this.#thread.on('error', (error: Error) => this.#break(error))
    this.#thread.on('exit', () => {
      this.#break(new Error('The embedded database has ended'))
      this.#exit.resolve()
    })
  }

  async opened(): Promise<void> {
    const timer = setTimeout(
      () => this.#break(new Error('The embedded database does not open')),
      openTimeoutMs,
    )
    try {
      await this.#opening.promise
    } finally {
      clearTimeout(timer)
    }
  }

  async query<Row>(text: string, values: Values = []): Promise<Row[]> {
    const { id, answer } = this.#pending.add()
    const request: ThreadRequest = { id, text, values }
    this.#thread.postMessage(request)
    const result = await this.#inTime(answer)
    if ('rows' in result) return result.rows as Row[]
    const refusal = new Error(result.error)
    if (!isOutage(result.sqlState)) throw refusal
    throw new StateUnavailableError('The embedded database failed', { cause: refusal })
  }

  async transaction<Result>(work: (runner: QueryRunner) => Promise<Result>): Promise<Result> {
    await this.query('begin')
    try {
      const result = await work(this)
      await this.query('commit')
      return result
    } catch (error) {
      if (!this.#isBroken) await this.query('rollback')
      throw error
    }
  }

  async close(): Promise<void> {
    this.#pending.end('The embedded database is closed')
    if (!this.#isBroken) {
      this.#isBroken = true
      this.#thread.postMessage('close')
      await Promise.race([this.#exit.promise, sleep(closeTimeoutMs, undefined, { ref: false })])
    }
    await this.#thread.terminate()
    this.#options.unlock()
  }

  async #inTime(answer: Promise<StatementAnswer>): Promise<StatementAnswer> {
    try {
      return await answer
    } catch (error) {
      // What doesn't answer in time may be stuck for good.
      this.#break(new Error('The embedded database does not answer'))
      throw error
    }
  }

  #break(reason: Error): void {
    if (this.#isBroken) return
    this.#isBroken = true
    this.#opening.reject(
      new StateUnavailableError('The embedded database does not open', { cause: reason }),
    )
    this.#pending.end('The embedded database has ended')
    this.#options.onLost(reason)
  }
}
