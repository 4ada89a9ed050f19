import { Client, DatabaseError, Pool } from 'pg'
import type { Database, OnLost, QueryRunner, Values } from './database.ts'
import { StateUnavailableError } from './ports.ts'
import { isOutage } from './sql-state.ts'

const maxConnections = 4
const idleTimeoutMs = 30_000
/** A migration may wait for another replica's and may build an index. */
const migrationTimeoutMs = 60_000

export interface PostgresOptions {
  /** For a connection from the pool, for making one, and for each answer. */
  readonly timeoutMs: number
  readonly onLost: OnLost
}

/** A small pool on a PostgreSQL or CockroachDB server. Nothing is connected before the first query. */
export class PostgresDatabase implements Database {
  readonly #url: string
  readonly #options: PostgresOptions
  readonly #pool: Pool

  constructor(url: string, options: PostgresOptions) {
    this.#url = url
    this.#options = options
    this.#pool = new Pool({
      connectionString: url,
      application_name: 'nebulaio',
      max: maxConnections,
      idleTimeoutMillis: idleTimeoutMs,
      connectionTimeoutMillis: options.timeoutMs,
      query_timeout: options.timeoutMs,
      keepAlive: true,
    })
    // The pool reports idle connections that the server has closed.
    this.#pool.on('error', options.onLost)
  }

  query<Row>(text: string, values: Values = []): Promise<Row[]> {
    return run(this.#pool, text, values)
  }

  /** Runs on a connection of its own, whose answers may take longer than a query's. */
  async transaction<Result>(work: (runner: QueryRunner) => Promise<Result>): Promise<Result> {
    const client = new Client({
      connectionString: this.#url,
      application_name: 'nebulaio',
      connectionTimeoutMillis: this.#options.timeoutMs,
      query_timeout: migrationTimeoutMs,
    })
    // Without a listener a lost connection would end the process; the running query rejects anyway.
    client.on('error', this.#options.onLost)
    try {
      await client.connect().catch((error: unknown) => {
        throw classify(error)
      })
      await run(client, 'begin')
      const result = await work({ query: (text, values) => run(client, text, values) })
      await run(client, 'commit')
      return result
    } finally {
      // Ends an open transaction too: the server rolls back what its client leaves behind.
      void client.end()
    }
  }

  async close(): Promise<void> {
    await this.#pool.end()
  }
}

async function run<Row>(target: Pool | Client, text: string, values: Values = []): Promise<Row[]> {
  try {
    const { rows } = await target.query(text, [...values])
    return rows
  } catch (error) {
    throw classify(error)
  }
}

function classify(error: unknown): unknown {
  if (error instanceof DatabaseError && !isOutage(error.code)) return error
  return new StateUnavailableError('The state database is unavailable', { cause: error })
}
