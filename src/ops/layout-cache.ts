import { LRUCache } from 'lru-cache'
import type { Layout } from '../stream/layout.ts'

/** A multipart layout, and whether it is known or inferred from sizes alone. */
export interface KnownLayout {
  readonly layout: Layout
  readonly origin: 'recorded' | 'discovered' | 'inferred'
}

/** Identifies one stored version of an object: it never changes under the same identity. */
export interface VersionIdentity {
  readonly bucket: string
  readonly key: string
  /** The backend's, without quotes. */
  readonly etag: string
  readonly storedSize: number
}

/** Remembers the layouts of multipart objects of this process. */
export class LayoutCache {
  readonly #layouts: LRUCache<string, KnownLayout>
  readonly #completeBuckets = new LRUCache<string, true>({ max: 10_000, ttl: 60_000 })

  constructor(maxEntries = 10_000) {
    this.#layouts = new LRUCache({ max: maxEntries })
  }

  get(version: VersionIdentity): KnownLayout | undefined {
    return this.#layouts.get(identityText(version))
  }

  set(version: VersionIdentity, known: KnownLayout): void {
    this.#layouts.set(identityText(version), known)
  }

  delete(version: VersionIdentity): void {
    this.#layouts.delete(identityText(version))
  }

  /** True if it was lately seen that the bucket's records are complete. */
  isBucketComplete(bucket: string): boolean {
    return this.#completeBuckets.has(bucket)
  }

  setBucketComplete(bucket: string): void {
    this.#completeBuckets.set(bucket, true)
  }

  forgetBucket(bucket: string): void {
    this.#completeBuckets.delete(bucket)
  }
}

function identityText(version: VersionIdentity): string {
  return JSON.stringify([version.bucket, version.key, version.etag, version.storedSize])
}
