import { createHmac, randomFillSync } from 'node:crypto'
import { inspect } from 'node:util'
import type { PlainBytes } from './sizes.ts'

export const keySize = 32
const label = (text: string): Buffer => Buffer.from(`nebulaio/v1/${text}\0`, 'latin1')
const partLabel = label('part')
const endLabel = label('end')
const endNonceLabel = label('end-nonce')
const uploadTokenLabel = label('upload-token')
const counterOne = Buffer.of(1)

/**
 * HKDF-Expand with SHA-512 for one block of output (RFC 5869 §2.3, `docs/format.md` §2): the first
 * `size` (≤ 64) bytes of HMAC-SHA-512(key, info ‖ 0x01). The caller owns the result.
 */
export function expand(key: Buffer, info: readonly Buffer[], size: number): Buffer {
  if (size > 64) throw new RangeError(`expand: "size" expected at most 64, got ${size}`)
  const hmac = createHmac('sha512', key)
  for (const piece of info) hmac.update(piece)
  return hmac.update(counterOne).digest().subarray(0, size)
}

/** A data encryption key. It prints as a placeholder; `reveal` is the only way to its bytes. */
export class Dek {
  readonly #key: Buffer

  /** Takes ownership of the 32 bytes. */
  constructor(key: Buffer) {
    if (key.length !== keySize) throw new RangeError(`Dek: expected 32 bytes, got ${key.length}`)
    this.#key = key
  }

  static generate(): Dek {
    return new Dek(randomFillSync(Buffer.alloc(keySize)))
  }

  /** The key of part `partNumber` if it has `partSize` plaintext bytes. */
  partKey(partNumber: number, partSize: PlainBytes): Buffer {
    const info = Buffer.alloc(12)
    info.writeUInt32BE(partNumber, 0)
    info.writeBigUInt64BE(BigInt(partSize), 4)
    return expand(this.#key, [partLabel, info], keySize)
  }

  endKey(): Buffer {
    return expand(this.#key, [endLabel], keySize)
  }

  endNonce(payload: Buffer): Buffer {
    return expand(this.#key, [endNonceLabel, payload], 12)
  }

  uploadTokenKey(): Buffer {
    return expand(this.#key, [uploadTokenLabel], keySize)
  }

  /** The key's bytes, for sealing. They stay owned by this object. */
  reveal(): Buffer {
    return this.#key
  }

  equals(other: Dek): boolean {
    return this.#key.equals(other.#key)
  }

  /** Zeroes the bytes; the key must not be used afterwards. */
  destroy(): void {
    this.#key.fill(0)
  }

  toJSON(): string {
    return '[Dek]'
  }

  toString(): string {
    return '[Dek]'
  }

  [inspect.custom](): string {
    return '[Dek]'
  }
}
