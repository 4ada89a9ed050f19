import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { crc32Tables, crc64Tables } from './crc-tables.ts'

/** The checksum algorithms of S3 ("Checking object integrity", Amazon S3 user guide). */
export const checksumAlgorithms = ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const
export type ChecksumAlgorithm = (typeof checksumAlgorithms)[number]

/** A hash that takes its input piece by piece. `digest` is called once, at the end. */
export interface IncrementalHash {
  update(bytes: Buffer): void
  /** Big-endian bytes, as S3 encodes them in base64. */
  digest(): Buffer
}

/** Size of a digest in bytes. */
export const checksumSizes: Readonly<Record<ChecksumAlgorithm, number>> = {
  CRC32: 4,
  CRC32C: 4,
  CRC64NVME: 8,
  SHA1: 20,
  SHA256: 32,
}

const hashes: Readonly<Record<ChecksumAlgorithm, () => IncrementalHash>> = {
  CRC32: () => new Crc32(),
  CRC32C: () => new Crc32c(),
  CRC64NVME: () => new Crc64Nvme(),
  SHA1: () => createCryptoHash('sha1'),
  SHA256: () => createCryptoHash('sha256'),
}

export function createChecksum(algorithm: ChecksumAlgorithm): IncrementalHash {
  return hashes[algorithm]()
}

export function createCryptoHash(algorithm: 'md5' | 'sha1' | 'sha256'): IncrementalHash {
  const hash = createHash(algorithm)
  return {
    update(bytes) {
      hash.update(bytes)
    },
    digest: () => hash.digest(),
  }
}

class Crc32 implements IncrementalHash {
  #crc = 0

  update(bytes: Buffer): void {
    this.#crc = crc32(bytes, this.#crc)
  }

  digest(): Buffer {
    return uint32(this.#crc)
  }
}

// Castagnoli polynomial, reflected (RFC 3720 §12.1).
const [c0, c1, c2, c3, c4, c5, c6, c7] = crc32Tables(0x82f63b78)

class Crc32c implements IncrementalHash {
  #crc = -1

  update(bytes: Buffer): void {
    if (!c0 || !c1 || !c2 || !c3 || !c4 || !c5 || !c6 || !c7) throw new Error('unreachable')
    let crc = this.#crc
    let i = 0
    for (const end = bytes.length - 7; i < end; i += 8) {
      const low = crc ^ bytes.readInt32LE(i)
      const high = bytes.readInt32LE(i + 4)
      crc =
        at(c7, low) ^
        at(c6, low >>> 8) ^
        at(c5, low >>> 16) ^
        at(c4, low >>> 24) ^
        at(c3, high) ^
        at(c2, high >>> 8) ^
        at(c1, high >>> 16) ^
        at(c0, high >>> 24)
    }
    for (; i < bytes.length; i += 1) crc = (crc >>> 8) ^ at(c0, crc ^ (bytes[i] ?? 0))
    this.#crc = crc
  }

  digest(): Buffer {
    return uint32(~this.#crc >>> 0)
  }
}

// NVM Express polynomial 0xAD93D23594C93659, reflected.
const crc64 = crc64Tables(0x9a6c9329ac4bc9b5n)
const [l0, l1, l2, l3, l4, l5, l6, l7] = crc64.low
const [h0, h1, h2, h3, h4, h5, h6, h7] = crc64.high

class Crc64Nvme implements IncrementalHash {
  #low = -1
  #high = -1

  update(bytes: Buffer): void {
    if (!l0 || !l1 || !l2 || !l3 || !l4 || !l5 || !l6 || !l7) throw new Error('unreachable')
    if (!h0 || !h1 || !h2 || !h3 || !h4 || !h5 || !h6 || !h7) throw new Error('unreachable')
    let low = this.#low
    let high = this.#high
    let i = 0
    for (const end = bytes.length - 7; i < end; i += 8) {
      const a = low ^ bytes.readInt32LE(i)
      const b = high ^ bytes.readInt32LE(i + 4)
      low =
        at(l7, a) ^
        at(l6, a >>> 8) ^
        at(l5, a >>> 16) ^
        at(l4, a >>> 24) ^
        at(l3, b) ^
        at(l2, b >>> 8) ^
        at(l1, b >>> 16) ^
        at(l0, b >>> 24)
      high =
        at(h7, a) ^
        at(h6, a >>> 8) ^
        at(h5, a >>> 16) ^
        at(h4, a >>> 24) ^
        at(h3, b) ^
        at(h2, b >>> 8) ^
        at(h1, b >>> 16) ^
        at(h0, b >>> 24)
    }
    for (; i < bytes.length; i += 1) {
      const index = low ^ (bytes[i] ?? 0)
      low = (low >>> 8) ^ (high << 24) ^ at(l0, index)
      high = (high >>> 8) ^ at(h0, index)
    }
    this.#low = low
    this.#high = high
  }

  digest(): Buffer {
    return Buffer.concat([uint32(~this.#high >>> 0), uint32(~this.#low >>> 0)])
  }
}

/** The table's entry for the lowest byte of `index`. */
function at(table: Int32Array, index: number): number {
  return table[index & 0xff] ?? 0
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
