import { createDecipheriv, type DecipherGCM } from 'node:crypto'
import { AuthenticationError, FormatError } from './errors.ts'
import { additionalData, aeadNonce, marshalHeader, streamNonce } from './package-header.ts'
import {
  packageCount,
  packageHeaderSize,
  packagePlainSize,
  packageStoredSize,
  packageTagSize,
  partStoredSize,
  type PlainBytes,
  type StoredBytes,
} from './sizes.ts'

export interface PackageRange {
  /** Index of the first package to open. */
  readonly first: number
  /** Index behind the last package to open. */
  readonly end: number
}

/**
 * Decrypts a run of packages of one part (`docs/format.md` §4.1). Plaintext is emitted only after
 * the tag of its package has been verified; at most one package is held.
 */
export class PartOpener {
  readonly #key: Buffer
  readonly #partSize: PlainBytes
  readonly #lastIndex: number
  readonly #endIndex: number
  #index: number
  #remaining: StoredBytes
  #nonce: Buffer | null = null
  #decipher: DecipherGCM | null = null
  #field = Buffer.alloc(packageHeaderSize)
  #fieldSize = 0
  #payloadRemaining = 0
  #held: Buffer[] = []

  /** `key` is the part key for this part's number and exactly this size. */
  constructor(key: Buffer, partSize: PlainBytes, range?: PackageRange) {
    const count = packageCount(partSize)
    this.#key = key
    this.#partSize = partSize
    this.#lastIndex = count - 1
    this.#index = range?.first ?? 0
    this.#endIndex = range?.end ?? count
    const endOffset =
      this.#endIndex === count ? partStoredSize(partSize) : this.#endIndex * packageStoredSize
    this.#remaining = endOffset - this.#index * packageStoredSize
  }

  /** Stored bytes that are still to come. */
  get remaining(): StoredBytes {
    return this.#remaining
  }

  /** Takes the next stored bytes, no more than `remaining`. Throws IntegrityError. */
  push(bytes: Buffer, out: Buffer[]): void {
    if (bytes.length > this.#remaining) throw new RangeError('more bytes than the part has')
    this.#remaining -= bytes.length
    let offset = 0
    while (offset < bytes.length) {
      if (this.#payloadRemaining > 0 && this.#decipher) {
        const end = Math.min(bytes.length, offset + this.#payloadRemaining)
        this.#held.push(this.#decipher.update(bytes.subarray(offset, end)))
        this.#payloadRemaining -= end - offset
        offset = end
      } else {
        // Header and tag happen to have the same size, so one buffer collects either.
        const end = Math.min(bytes.length, offset + packageHeaderSize - this.#fieldSize)
        bytes.copy(this.#field, this.#fieldSize, offset, end)
        this.#fieldSize += end - offset
        offset = end
        if (this.#fieldSize < packageHeaderSize) return
        this.#fieldSize = 0
        if (this.#decipher) this.#closePackage(this.#decipher, out)
        else this.#openPackage()
      }
    }
  }

  #openPackage(): void {
    const isFinal = this.#index === this.#lastIndex
    const size = isFinal ? this.#partSize - this.#index * packagePlainSize : packagePlainSize
    this.#nonce ??= streamNonce(this.#field)
    const expected = marshalHeader(size, this.#nonce, isFinal ? 'final' : 'inner')
    if (!expected.equals(this.#field)) {
      throw new FormatError(`package ${this.#index}: header isn't the one of its place`)
    }
    this.#decipher = createDecipheriv('aes-256-gcm', this.#key, aeadNonce(expected, this.#index), {
      authTagLength: packageTagSize,
    })
    this.#decipher.setAAD(additionalData(expected))
    this.#payloadRemaining = size
  }

  #closePackage(decipher: DecipherGCM, out: Buffer[]): void {
    decipher.setAuthTag(this.#field)
    try {
      decipher.final()
    } catch (cause) {
      throw new AuthenticationError(`package ${this.#index}: tag doesn't verify`, { cause })
    }
    out.push(...this.#held)
    this.#held = []
    this.#decipher = null
    this.#index += 1
  }
}
