/** A size or offset of plaintext bytes; not assignable to a {@link StoredBytes}. */
export type PlainBytes = number & { readonly __side?: 'plain' }
/** A size or offset of stored bytes; not assignable to a {@link PlainBytes}. */
export type StoredBytes = number & { readonly __side?: 'stored' }

/** Plaintext bytes in every package but the last of a part. */
export const packagePlainSize = 65_536
export const packageHeaderSize = 16
export const packageTagSize = 16
export const packageOverhead = packageHeaderSize + packageTagSize
/** Stored bytes of a full package. */
export const packageStoredSize = packagePlainSize + packageOverhead

/** Stored bytes of an end record. */
export const endRecordSize = 96

/** S3's minimum size of a part that isn't the last, 5 MiB. */
export const minPartSize = 5 * 1024 * 1024
/** S3's largest part number. */
export const maxPartNumber = 10_000
/** S3's largest stored PUT or part, 5 GiB. */
export const maxStoredPartSize: StoredBytes = 5 * 1024 ** 3
/** S3's largest object, 5 TiB. */
export const maxStoredObjectSize: StoredBytes = 5 * 1024 ** 4

/** Number of packages of a part stream. */
export function packageCount(partSize: PlainBytes): number {
  return Math.ceil(partSize / packagePlainSize)
}

/** s(x): stored size of a part stream of x plaintext bytes (`docs/format.md` §4.3). */
export function partStoredSize(partSize: PlainBytes): StoredBytes {
  return partSize + packageOverhead * packageCount(partSize)
}

/** The inverse of {@link partStoredSize}; null for sizes that no part stream has. */
export function partPlainSize(storedSize: StoredBytes): PlainBytes | null {
  if (storedSize < 0) return null
  const size = storedSize - packageOverhead * Math.ceil(storedSize / packageStoredSize)
  return size >= 0 && partStoredSize(size) === storedSize ? size : null
}

/** f(P): stored size of an object of P plaintext bytes with aligned parts. */
export function objectStoredSize(plainSize: PlainBytes): StoredBytes {
  return plainSize === 0 ? 0 : partStoredSize(plainSize) + endRecordSize
}

/** The inverse of {@link objectStoredSize}, 96 giving 0 too; null for sizes outside its image. */
export function objectPlainSize(storedSize: StoredBytes): PlainBytes | null {
  if (storedSize === 0) return 0
  return partPlainSize(storedSize - endRecordSize)
}

/** Plaintext size of the largest single PUT. */
export const maxSinglePlainSize: PlainBytes = objectPlainSize(maxStoredPartSize) ?? 0
/** Plaintext size of the largest object. */
export const maxObjectPlainSize: PlainBytes = objectPlainSize(maxStoredObjectSize) ?? 0

/** True if a part of this number and size can only be the last and so carries its own end record. */
export function hasOwnEndRecord(partNumber: number, partSize: PlainBytes): boolean {
  return partNumber === maxPartNumber || partStoredSize(partSize) < minPartSize
}

/** True if a last part of this stored size is in the zone of `docs/format.md` §4.4. */
export function isInZone(storedPartSize: StoredBytes): boolean {
  return storedPartSize >= minPartSize && storedPartSize < minPartSize + endRecordSize
}
