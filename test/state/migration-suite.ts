import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import type { Database } from '../../src/state/database.ts'
import { migrate, NewerSchemaError } from '../../src/state/migrate.ts'
import { migrations } from '../../src/state/migrations/index.ts'
import { SqlStateStore } from '../../src/state/sql-state-store.ts'

/** What release 0.1 left behind, frozen: never adapt it to a changed migration. */
const version1 = [
  `create schema nebulaio`,
  `create table nebulaio.schema_version (
    version integer primary key, applied_at timestamptz not null default now())`,
  `create table nebulaio.uploads (
    bucket text not null, backend_upload_id text not null, object_key bytea not null,
    token text not null, created_at timestamptz not null default now(),
    primary key (bucket, backend_upload_id))`,
  `create table nebulaio.layouts (
    bucket text not null, object_key bytea not null, backend_upload_id text not null, etag text,
    stored_size bigint not null, part_sizes text not null,
    created_at timestamptz not null default now(),
    primary key (bucket, object_key, backend_upload_id))`,
  `create table nebulaio.complete_buckets (
    bucket text primary key, marked_at timestamptz not null default now())`,
  `insert into nebulaio.schema_version (version) values (1)`,
  `insert into nebulaio.uploads (bucket, backend_upload_id, object_key, token)
    values ('b', 'u', '\\x6b00', 'token')`,
  `insert into nebulaio.layouts (bucket, object_key, backend_upload_id, etag, stored_size, part_sizes)
    values ('b', '\\x6b00', 'u', null, 5497558138880, '5242880*3,17,0')`,
  `insert into nebulaio.complete_buckets (bucket) values ('b')`,
]

const latest = migrations.at(-1)?.version ?? 0
const next = {
  version: latest + 1,
  statements: [
    'alter table nebulaio.uploads add column note text',
    `update nebulaio.uploads set note = 'upgraded'`,
  ],
}

/** What `migrate` must do on every kind of database. */
export function describeMigrations(name: string, current: () => Database): void {
  describe(`${name}: migrations`, () => {
    const run = async (...statements: string[]) => {
      for (const statement of statements) await current().query(statement)
    }
    const versions = async () => {
      const rows = await current().query<{ version: number }>(
        'select version from nebulaio.schema_version order by version',
      )
      return rows.map(({ version }) => version)
    }
    const clear = () => run('drop schema if exists nebulaio cascade')
    beforeEach(clear)
    afterAll(clear)

    test('an empty database gets every version, and a second run changes nothing', async () => {
      expect(await migrate(current(), migrations)).toBe(latest)
      const applied = await versions()
      expect(applied).toEqual(migrations.map(({ version }) => version))
      expect(await migrate(current(), migrations)).toBe(latest)
      expect(await versions()).toEqual(applied)
    })

    test('a database of version 1 is upgraded with all that it holds', async () => {
      await run(...version1)
      await migrate(current(), migrations)
      const store = new SqlStateStore(current())
      expect(await store.findUploads('b', ['u'])).toEqual(new Map([['u', 'token']]))
      expect(await store.findLayouts('b', ['k\0'])).toEqual([
        {
          bucket: 'b',
          key: 'k\0',
          backendUploadId: 'u',
          etag: null,
          storedSize: 5_497_558_138_880,
          partSizes: [5_242_880, 5_242_880, 5_242_880, 17, 0],
        },
      ])
      expect(await store.hasCompleteRecords('b')).toBe(true)
    })

    test('the next migration is applied once, to what is there', async () => {
      await run(...version1)
      await migrate(current(), [...migrations, next])
      await migrate(current(), [...migrations, next])
      expect(await current().query('select note from nebulaio.uploads')).toEqual([
        { note: 'upgraded' },
      ])
      expect((await versions()).at(-1)).toBe(latest + 1)
    })

    test('a migration that fails leaves the old version, not half of the new one', async () => {
      await run(...version1)
      await migrate(current(), migrations)
      const broken = { ...next, statements: [...next.statements, 'select * from nowhere'] }
      await expect(migrate(current(), [...migrations, broken])).rejects.toThrow('nowhere')
      expect((await versions()).at(-1)).toBe(latest)
      expect(await migrate(current(), [...migrations, next])).toBe(latest + 1)
    })

    test('a newer database is refused and left as it is', async () => {
      await migrate(current(), [...migrations, next])
      await expect(migrate(current(), migrations)).rejects.toThrow(NewerSchemaError)
      await expect(migrate(current(), [])).rejects.toThrow(`version ${latest + 1}`)
      expect((await versions()).at(-1)).toBe(latest + 1)
    })
  })
}
