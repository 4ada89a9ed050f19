import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Kek, Keks } from './keks.ts'

export interface IntermediateKeyLimits {
  /** How many DEKs one intermediate key may seal. */
  readonly maxObjects: number
  /** How long an intermediate key may seal new DEKs. */
  readonly maxAgeMs: number
  /** How long an unwrapped key may be kept, from its unwrapping; 0 keeps none. */
  readonly cacheTtlMs: number
  /** How many unwrapped keys may be kept; 0 keeps none. */
  readonly cacheMaxSize: number
}

/** An intermediate key as envelopes carry it. */
export interface WrappedIk {
  readonly kek: string
  readonly kekVersion: string
  readonly wrappedIk: Buffer
}

/** Buckets whose intermediate key for writing is kept at the same time. */
const maxSealingKeys = 1000

interface SealingKey extends WrappedIk {
  /** Zeroed when the cache drops the key, so it is never used across an await. */
  readonly plaintext: Buffer
  uses: number
}

/**
 * Intermediate keys of all buckets (`docs/format.md` §1): makes them for writing, within the limits
 * of reuse, and unwraps and caches them for reading. Calls for the same key at the same time share
 * one KMS call.
 */
export class IntermediateKeys {
  readonly #keks: Keks
  readonly #limits: IntermediateKeyLimits
  readonly #sealing: LRUCache<string, SealingKey>
  readonly #making = new Map<string, Promise<void>>()
  readonly #unwrapped: LRUCache<string, Buffer> | null
  readonly #unwrapping = new Map<string, Promise<Buffer>>()

  /** `now` gives milliseconds that never go back. */
  constructor(
    keks: Keks,
    limits: IntermediateKeyLimits,
    now: () => number = () => performance.now(),
  ) {
    this.#keks = keks
    this.#limits = limits
    this.#sealing = new LRUCache({
      max: maxSealingKeys,
      ttl: limits.maxAgeMs,
      ttlAutopurge: true,
      ttlResolution: 0,
      perf: { now },
      dispose: (key) => key.plaintext.fill(0),
    })
    const cached = limits.cacheMaxSize > 0 && limits.cacheTtlMs > 0
    this.#unwrapped = cached
      ? new LRUCache({
          max: limits.cacheMaxSize,
          ttl: limits.cacheTtlMs,
          ttlAutopurge: true,
          ttlResolution: 0,
          perf: { now },
          dispose: (plaintext) => plaintext.fill(0),
        })
      : null
  }

  /**
   * Calls `seal` with an intermediate key of the bucket and counts one use. The key's bytes are
   * valid during the call only. Throws KeyProviderError.
   */
  async withSealingKey<T>(
    bucket: string,
    seal: (plaintext: Buffer, wrapped: WrappedIk) => T,
  ): Promise<T> {
    for (;;) {
      const key = this.#sealing.get(bucket)
      if (key && key.uses < this.#limits.maxObjects) {
        key.uses += 1
        return seal(key.plaintext, key)
      }
      await this.#makeSealingKey(bucket)
    }
  }

  /**
   * Calls `open` with the plaintext of a wrapped intermediate key, valid during the call only.
   * Throws KeyProviderError, also if the KEK isn't allowed.
   */
  async withOpenedKey<T>(
    bucket: string,
    wrapped: WrappedIk,
    open: (plaintext: Buffer) => T,
  ): Promise<T> {
    const kek = this.#keks.named(wrapped.kek)
    const id = cacheId(bucket, wrapped)
    const cached = this.#unwrapped?.get(id)
    if (cached) return open(cached)
    let unwrapping = this.#unwrapping.get(id)
    if (!unwrapping) {
      unwrapping = this.#unwrap(kek, bucket, wrapped).finally(() => this.#unwrapping.delete(id))
      this.#unwrapping.set(id, unwrapping)
    }
    const plaintext = await unwrapping
    // The cache zeroes its own copy when it evicts, so it never shares a buffer with its users.
    if (this.#unwrapped && !this.#unwrapped.has(id)) this.#unwrapped.set(id, Buffer.from(plaintext))
    return open(plaintext)
  }

  /** Zeroes every key and forgets it. */
  close(): void {
    this.#sealing.clear()
    this.#unwrapped?.clear()
  }

  async #makeSealingKey(bucket: string): Promise<void> {
    let making = this.#making.get(bucket)
    if (!making) {
      making = this.#generate(bucket).finally(() => this.#making.delete(bucket))
      this.#making.set(bucket, making)
    }
    await making
  }

  async #generate(bucket: string): Promise<void> {
    const kek = this.#keks.forBucket(bucket)
    const { plaintext, wrapped, kekVersion } = await kek.provider.generateDataKey(kek.name, {
      bucket,
    })
    const key: SealingKey = {
      plaintext,
      wrappedIk: wrapped,
      kek: kek.reference,
      kekVersion,
      uses: 0,
    }
    this.#sealing.set(bucket, key)
    // What was just written is likely to be read soon: spare the unwrap.
    this.#unwrapped?.set(cacheId(bucket, key), Buffer.from(plaintext))
  }

  async #unwrap(kek: Kek, bucket: string, wrapped: WrappedIk): Promise<Buffer> {
    return kek.provider.unwrap(
      kek.name,
      { wrapped: wrapped.wrappedIk, kekVersion: wrapped.kekVersion },
      { bucket },
    )
  }
}

function cacheId(bucket: string, wrapped: WrappedIk): string {
  return createHash('sha256')
    .update(JSON.stringify([bucket, wrapped.kek, wrapped.kekVersion]))
    .update(wrapped.wrappedIk)
    .digest('base64')
}
