import type { Migration } from './migration.ts'

/** Keys are bytes: PostgreSQL's text can't hold U+0000, which S3 allows in a key. */
export const uploadsAndLayouts: Migration = {
  version: 1,
  statements: [
    `create table nebulaio.uploads (
      bucket text not null,
      backend_upload_id text not null,
      object_key bytea not null,
      token text not null,
      created_at timestamptz not null default now(),
      primary key (bucket, backend_upload_id)
    )`,
    `create table nebulaio.layouts (
      bucket text not null,
      object_key bytea not null,
      backend_upload_id text not null,
      etag text,
      stored_size bigint not null,
      part_sizes text not null,
      created_at timestamptz not null default now(),
      primary key (bucket, object_key, backend_upload_id)
    )`,
    `create table nebulaio.complete_buckets (
      bucket text primary key,
      marked_at timestamptz not null default now()
    )`,
  ],
}
