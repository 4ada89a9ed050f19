import type { QueryRunner } from './database.ts'
import { marshalPartSizes, parsePartSizes } from './part-sizes.ts'
import type { LayoutRecord, LayoutStore, UploadRecord, UploadStore } from './ports.ts'

interface LayoutRow {
  readonly object_key: Uint8Array
  readonly backend_upload_id: string
  readonly etag: string | null
  readonly stored_size: string | number
  readonly part_sizes: string
}

/**
 * The ports as SQL. Every call is one statement, so each is atomic by itself and may be repeated.
 * Throws what the runner throws, and RangeError for part sizes that no S3 object can have.
 */
export class SqlStateStore implements UploadStore, LayoutStore {
  readonly #runner: QueryRunner

  constructor(runner: QueryRunner) {
    this.#runner = runner
  }

  async putUpload({ bucket, key, backendUploadId, token }: UploadRecord): Promise<void> {
    await this.#runner.query(
      `insert into nebulaio.uploads (bucket, backend_upload_id, object_key, token)
       values ($1, $2, $3, $4)
       on conflict (bucket, backend_upload_id)
       do update set object_key = excluded.object_key, token = excluded.token`,
      [bucket, backendUploadId, keyBytes(key), token],
    )
  }

  async deleteUpload(bucket: string, backendUploadId: string): Promise<void> {
    await this.#runner.query(
      'delete from nebulaio.uploads where bucket = $1 and backend_upload_id = $2',
      [bucket, backendUploadId],
    )
  }

  async findUploads(
    bucket: string,
    backendUploadIds: readonly string[],
  ): Promise<Map<string, string>> {
    if (backendUploadIds.length === 0) return new Map()
    const rows = await this.#runner.query<{ backend_upload_id: string; token: string }>(
      `select backend_upload_id, token from nebulaio.uploads
       where bucket = $1 and backend_upload_id = any($2::text[])`,
      [bucket, backendUploadIds],
    )
    return new Map(rows.map((row) => [row.backend_upload_id, row.token]))
  }

  async putLayout(record: LayoutRecord): Promise<void> {
    await this.#runner.query(
      `insert into nebulaio.layouts
         (bucket, object_key, backend_upload_id, etag, stored_size, part_sizes)
       values ($1, $2, $3, $4, $5, $6)
       on conflict (bucket, object_key, backend_upload_id)
       do update set etag = excluded.etag, stored_size = excluded.stored_size,
         part_sizes = excluded.part_sizes`,
      [
        record.bucket,
        keyBytes(record.key),
        record.backendUploadId,
        record.etag,
        record.storedSize,
        marshalPartSizes(record.partSizes),
      ],
    )
  }

  async setLayoutEtag(
    bucket: string,
    key: string,
    backendUploadId: string,
    etag: string,
  ): Promise<void> {
    await this.#runner.query(
      `update nebulaio.layouts set etag = $4
       where bucket = $1 and object_key = $2 and backend_upload_id = $3`,
      [bucket, keyBytes(key), backendUploadId, etag],
    )
  }

  async deleteLayouts(bucket: string, key: string): Promise<void> {
    await this.#runner.query('delete from nebulaio.layouts where bucket = $1 and object_key = $2', [
      bucket,
      keyBytes(key),
    ])
  }

  async findLayouts(bucket: string, keys: readonly string[]): Promise<LayoutRecord[]> {
    if (keys.length === 0) return []
    const rows = await this.#runner.query<LayoutRow>(
      `select object_key, backend_upload_id, etag, stored_size, part_sizes from nebulaio.layouts
       where bucket = $1 and object_key = any($2::bytea[])
       order by object_key, created_at, backend_upload_id`,
      [bucket, keys.map(keyBytes)],
    )
    return rows.map((row) => ({
      bucket,
      key: Buffer.from(row.object_key).toString(),
      backendUploadId: row.backend_upload_id,
      etag: row.etag,
      storedSize: Number(row.stored_size),
      partSizes: parsePartSizes(row.part_sizes),
    }))
  }

  async hasCompleteRecords(bucket: string): Promise<boolean> {
    const rows = await this.#runner.query(
      'select 1 from nebulaio.complete_buckets where bucket = $1',
      [bucket],
    )
    return rows.length > 0
  }

  async markRecordsComplete(bucket: string): Promise<void> {
    await this.#runner.query(
      'insert into nebulaio.complete_buckets (bucket) values ($1) on conflict (bucket) do nothing',
      [bucket],
    )
  }

  async forgetBucket(bucket: string): Promise<void> {
    await this.#runner.query(
      `with forgotten_uploads as (delete from nebulaio.uploads where bucket = $1),
         forgotten_layouts as (delete from nebulaio.layouts where bucket = $1)
       delete from nebulaio.complete_buckets where bucket = $1`,
      [bucket],
    )
  }
}

function keyBytes(key: string): Buffer {
  return Buffer.from(key)
}
