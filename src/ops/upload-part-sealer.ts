import type { Dek } from '../stream/dek.ts'
import { sealEndRecord } from '../stream/end-record.ts'
import { PartSealer } from '../stream/part-sealer.ts'
import {
  endRecordSize,
  hasOwnEndRecord,
  partStoredSize,
  type PlainBytes,
  type StoredBytes,
} from '../stream/sizes.ts'

/** Encrypts one part of a multipart upload, with its own end record if it can only be the last. */
export class UploadPartSealer {
  readonly storedSize: StoredBytes
  readonly #sealer: PartSealer
  readonly #dek: Dek
  readonly #number: number
  readonly #size: PlainBytes

  constructor(dek: Dek, number: number, { size }: { readonly size: PlainBytes }) {
    this.#dek = dek
    this.#number = number
    this.#size = size
    this.#sealer = new PartSealer(dek.partKey(number, size), size)
    this.storedSize = partStoredSize(size) + (hasOwnEndRecord(number, size) ? endRecordSize : 0)
  }

  push(plain: Buffer, out: Buffer[]): void {
    this.#sealer.push(plain, out)
  }

  /** Emits what was held back until the part had been verified. */
  finish(out: Buffer[]): void {
    this.#sealer.finish(out)
    if (!hasOwnEndRecord(this.#number, this.#size)) return
    const lastPartSize = { kind: 'plain', size: this.#size } as const
    out.push(sealEndRecord(this.#dek, { lastPart: this.#number, lastPartSize, checksum: null }))
  }
}
