/** One step of the schema. A published migration is never edited; a change is a new migration. */
export interface Migration {
  /** 1, 2, 3 … without gaps. */
  readonly version: number
  readonly statements: readonly string[]
}
