import { createCipheriv, randomFillSync, type CipherGCM } from 'node:crypto'
import { additionalData, aeadNonce, marshalHeader, nonceSize } from './package-header.ts'
import { packageCount, packagePlainSize, type PlainBytes } from './sizes.ts'

export interface PartSealerOptions {
  /** The 12-byte stream nonce, for test vectors only: every real stream needs a fresh random one. */
  readonly nonce?: Buffer
}

/**
 * Encrypts one part of known size into a DARE 2.0 stream (`docs/format.md` §4.1). What it emits
 * before `finish` lacks the last package's tag, so it can't be taken for the whole stream.
 */
export class PartSealer {
  readonly #key: Buffer
  readonly #nonce: Buffer
  readonly #lastIndex: number
  #remaining: PlainBytes
  #index = 0
  #packageRemaining = 0
  #cipher: CipherGCM | null = null

  /** `key` is the part key for this part's number and exactly this size. */
  constructor(key: Buffer, partSize: PlainBytes, options: PartSealerOptions = {}) {
    this.#key = key
    this.#remaining = partSize
    this.#lastIndex = packageCount(partSize) - 1
    this.#nonce = options.nonce ?? randomFillSync(Buffer.alloc(nonceSize))
    this.#nonce[0] = (this.#nonce[0] ?? 0) & 0x7f
  }

  /** Encrypts `chunk` (kept no longer than the call). Throws RangeError past the part's size. */
  push(chunk: Buffer, out: Buffer[]): void {
    if (chunk.length > this.#remaining)
      throw new RangeError('part is longer than its declared size')
    let offset = 0
    while (offset < chunk.length) {
      const cipher = this.#cipher ?? this.#openPackage(out)
      const end = Math.min(chunk.length, offset + this.#packageRemaining)
      out.push(cipher.update(chunk.subarray(offset, end)))
      this.#packageRemaining -= end - offset
      this.#remaining -= end - offset
      offset = end
      if (this.#packageRemaining === 0 && this.#index < this.#lastIndex) this.#closePackage(out)
    }
  }

  /** Emits what was held back. Throws RangeError if the part isn't complete. */
  finish(out: Buffer[]): void {
    if (this.#remaining > 0) throw new RangeError(`part lacks ${this.#remaining} bytes`)
    if (this.#cipher) this.#closePackage(out)
  }

  #openPackage(out: Buffer[]): CipherGCM {
    const isLast = this.#index === this.#lastIndex
    const size = Math.min(this.#remaining, packagePlainSize)
    const header = marshalHeader(size, this.#nonce, isLast ? 'final' : 'inner')
    const cipher = createCipheriv('aes-256-gcm', this.#key, aeadNonce(header, this.#index))
    cipher.setAAD(additionalData(header))
    out.push(header)
    this.#packageRemaining = size
    this.#cipher = cipher
    return cipher
  }

  #closePackage(out: Buffer[]): void {
    const cipher = this.#cipher
    if (!cipher) return
    cipher.final()
    out.push(cipher.getAuthTag())
    this.#cipher = null
    this.#index += 1
  }
}
