import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../observe/logger.ts'
import type { Database, OnLost, QueryRunner, Values } from './database.ts'
import { errorText } from './error-text.ts'
import { NewerSchemaError } from './migrate.ts'
import { StateUnavailableError } from './ports.ts'

/** `opening` lasts until the first attempt has ended, at the start and after each loss. */
export type StateHealth = 'opening' | 'ready' | 'unavailable'

export interface SupervisionOptions {
  readonly logger: Logger
  readonly openWaitMs: number
  readonly minRetryMs: number
  readonly maxRetryMs: number
}

/**
 * A database that opens in the background and reopens after it was lost. While it is `opening`, queries
 * wait up to `openWaitMs`; while it is `unavailable` they reject with StateUnavailableError at once.
 */
export class SupervisedDatabase implements QueryRunner {
  readonly #open: (onLost: OnLost) => Promise<Database>
  readonly #options: SupervisionOptions
  #health: StateHealth = 'opening'
  /** Resolved, and replaced, at each change of health. */
  #changed = Promise.withResolvers<void>()
  #database: Database | null = null
  /** Why it will never be ready again. */
  #end: Error | null = null
  readonly #closing = new AbortController()
  #work: Promise<void>

  constructor(open: (onLost: OnLost) => Promise<Database>, options: SupervisionOptions) {
    this.#open = open
    this.#options = options
    this.#work = this.#openUntilReady()
  }

  async query<Row>(text: string, values?: Values): Promise<Row[]> {
    if (this.#health === 'opening') await within(this.#changed.promise, this.#options.openWaitMs)
    const database = this.#database
    if (!database) throw this.#unavailable()
    try {
      return await database.query<Row>(text, values)
    } catch (error) {
      if (error instanceof StateUnavailableError) this.#lose(database, error)
      throw error
    }
  }

  async ready(): Promise<void> {
    while (this.#health !== 'ready') {
      if (this.#end) throw this.#end
      await this.#changed.promise
    }
  }

  health(): StateHealth {
    return this.#health
  }

  /** Ends the attempts and the open database. */
  async close(): Promise<void> {
    this.#end ??= new StateUnavailableError('The state store is closed')
    this.#closing.abort()
    await this.#work
    const database = this.#database
    this.#database = null
    this.#setHealth('unavailable')
    await database?.close()
  }

  /** Never rejects: what fails is logged and tried again. */
  async #openUntilReady(): Promise<void> {
    const { logger, minRetryMs, maxRetryMs } = this.#options
    for (let pauseMs = minRetryMs; !this.#end; pauseMs = Math.min(2 * pauseMs, maxRetryMs)) {
      try {
        this.#database = await this.#attempt()
        this.#setHealth('ready')
        return
      } catch (error) {
        logger.warn({ reason: errorText(error), retryMs: pauseMs }, 'state store does not open')
        if (error instanceof NewerSchemaError) this.#end = error
        this.#setHealth('unavailable')
      }
      if (!this.#end) await this.#pause(pauseMs)
    }
  }

  async #attempt(): Promise<Database> {
    const losses: Error[] = []
    let opened: Database | null = null
    const database = await this.#open((reason) => {
      losses.push(reason)
      if (opened) this.#lose(opened, reason)
    })
    opened = database
    const [loss] = losses
    if (!loss) return database
    await database.close()
    throw loss
  }

  #lose(database: Database, reason: Error): void {
    if (this.#database !== database) return
    this.#options.logger.warn({ reason: errorText(reason) }, 'state store is lost')
    this.#database = null
    this.#setHealth('opening')
    this.#work = this.#reopen(database)
  }

  async #reopen(lost: Database): Promise<void> {
    try {
      await lost.close()
    } catch (error) {
      this.#options.logger.warn({ reason: errorText(error) }, 'lost state store does not close')
    }
    await this.#openUntilReady()
  }

  async #pause(ms: number): Promise<void> {
    const { signal } = this.#closing
    try {
      await sleep(ms, undefined, { signal })
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  #setHealth(health: StateHealth): void {
    this.#health = health
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }

  #unavailable(): StateUnavailableError {
    return new StateUnavailableError('The state store is not open', { cause: this.#end })
  }
}

/** Resolves with the promise or after `ms`, whichever is first. */
async function within(promise: Promise<void>, ms: number): Promise<void> {
  const { promise: timeout, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  await Promise.race([promise, timeout])
  clearTimeout(timer)
}
