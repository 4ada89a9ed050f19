/** One SQL statement with its values; $1, $2 … stand for them. Strings, numbers, bytes, arrays, null. */
export type Values = readonly (
  string | number | null | Uint8Array | readonly string[] | readonly Uint8Array[]
)[]

export interface QueryRunner {
  /**
   * Runs one statement and returns its rows.
   * Throws StateUnavailableError if the database can't be reached, and what the driver throws if the
   * database refuses the statement.
   */
  query<Row>(text: string, values?: Values): Promise<Row[]>
}

/** An open database that speaks PostgreSQL's SQL. */
export interface Database extends QueryRunner {
  /**
   * Runs `work` in one transaction: committed when it resolves, rolled back when it rejects. Nothing
   * else may use the database meanwhile.
   */
  transaction<Result>(work: (runner: QueryRunner) => Promise<Result>): Promise<Result>
  /** Ends all connections and releases what was locked. Never hangs on a dead peer. */
  close(): Promise<void>
}

/** Called at most once, when the database notices by itself that it has lost its server or folder. */
export type OnLost = (reason: Error) => void
