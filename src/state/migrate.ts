import type { Database, QueryRunner } from './database.ts'
import type { Migration } from './migrations/migration.ts'

/** The database was written by a newer release; this one must not touch it. */
export class NewerSchemaError extends Error {
  override readonly name = 'NewerSchemaError'
}

/** Any number, as long as every release uses the same. */
const advisoryLock = 7_236_281_547

/**
 * Brings the schema up to the last of `migrations`, all in one transaction under an advisory lock, so
 * that replicas may start at once. Returns the version. Throws NewerSchemaError, having changed nothing.
 */
export function migrate(database: Database, migrations: readonly Migration[]): Promise<number> {
  return database.transaction(async (runner) => {
    await runner.query(`select pg_advisory_xact_lock(${advisoryLock})`)
    const current = await readVersion(runner)
    const latest = migrations.at(-1)?.version ?? 0
    if (current > latest) {
      throw new NewerSchemaError(
        `The state store has schema version ${current}, this release knows up to ${latest}: run the newer release`,
      )
    }
    for (const { version, statements } of migrations.filter(({ version }) => version > current)) {
      for (const statement of statements) await runner.query(statement)
      // The primary key makes the second of two migrating replicas fail where advisory locks do nothing.
      await runner.query('insert into nebulaio.schema_version (version) values ($1)', [version])
    }
    return latest
  })
}

async function readVersion(runner: QueryRunner): Promise<number> {
  // `if not exists` asks for the right to create even if there is nothing to create.
  const [found] = await runner.query<{ present: boolean }>(
    `select to_regclass('nebulaio.schema_version') is not null as present`,
  )
  if (found?.present !== true) {
    await runner.query('create schema if not exists nebulaio')
    await runner.query(
      `create table nebulaio.schema_version (
        version integer primary key,
        applied_at timestamptz not null default now()
      )`,
    )
  }
  const [row] = await runner.query<{ version: string | number | null }>(
    'select max(version) as version from nebulaio.schema_version',
  )
  return Number(row?.version ?? 0)
}
