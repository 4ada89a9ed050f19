import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Logger } from '../observe/logger.ts'
import type { Database, OnLost } from './database.ts'
import { migrate } from './migrate.ts'
import { migrations } from './migrations/index.ts'
import { openPgliteDatabase } from './pglite-database.ts'
import type { StateStore } from './ports.ts'
import { PostgresDatabase } from './postgres-database.ts'
import { SqlStateStore } from './sql-state-store.ts'
import { type StateHealth, SupervisedDatabase } from './supervised-database.ts'

export interface StateStoreOptions {
  /** `file:<folder>` for the embedded database, `postgres://…` or `postgresql://…` for a server. */
  readonly url: string
  readonly logger: Logger
  /** Longest time that a call waits for the store to open. */
  readonly openWaitMs?: number
  /** Longest time for a connection to a server, and for an answer. */
  readonly timeoutMs?: number
  /** Pause before the second attempt to open; it doubles up to `maxRetryMs`. */
  readonly minRetryMs?: number
  readonly maxRetryMs?: number
}

/** A state store that opens, and after a loss reopens, by itself. */
export interface OpeningStateStore extends StateStore {
  /**
   * Resolves once the store is open. Rejects with NewerSchemaError if it never will be, and with
   * StateUnavailableError if it was closed.
   */
  ready(): Promise<void>
  /** What the last call or attempt showed. */
  health(): StateHealth
}

/**
 * Returns at once and opens the store in the background, again and again while that fails. Until then
 * every call rejects with StateUnavailableError, after at most `openWaitMs`. The caller closes it.
 * Throws TypeError for a URL of another kind.
 */
export function openStateStore(options: StateStoreOptions): OpeningStateStore {
  const { logger, openWaitMs = 2_000, minRetryMs = 250, maxRetryMs = 15_000 } = options
  const connect = connector(options)
  const open = async (onLost: OnLost): Promise<Database> => {
    const database = await connect(onLost)
    try {
      const version = await migrate(database, migrations)
      logger.info({ schemaVersion: version }, 'state store is open')
      return database
    } catch (error) {
      await database.close()
      throw error
    }
  }
  return new SupervisedStateStore(
    new SupervisedDatabase(open, { logger, openWaitMs, minRetryMs, maxRetryMs }),
  )
}

class SupervisedStateStore extends SqlStateStore implements OpeningStateStore {
  readonly #database: SupervisedDatabase

  constructor(database: SupervisedDatabase) {
    super(database)
    this.#database = database
  }

  ready(): Promise<void> {
    return this.#database.ready()
  }

  health(): StateHealth {
    return this.#database.health()
  }

  close(): Promise<void> {
    return this.#database.close()
  }
}

function connector(options: StateStoreOptions): (onLost: OnLost) => Promise<Database> {
  const { url, timeoutMs = 3_000 } = options
  if (/^postgres(ql)?:\/\//.test(url)) {
    if (!URL.canParse(url)) {
      throw new TypeError('The state store URL is malformed: is the password percent-encoded?')
    }
    return (onLost) => Promise.resolve(new PostgresDatabase(url, { timeoutMs, onLost }))
  }
  if (url.startsWith('file:') && url.length > 'file:'.length) {
    const folder = url.startsWith('file://') ? fileURLToPath(url) : resolve(url.slice(5))
    return (onLost) => openPgliteDatabase(folder, { timeoutMs, onLost })
  }
  // The URL itself may hold a password.
  throw new TypeError('The state store URL must begin with file:, postgres:// or postgresql://')
}
