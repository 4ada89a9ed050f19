import { packageHeaderSize } from './sizes.ts'

const version20 = 0x20
const cipherAes256Gcm = 0x00
const finalFlag = 0x80
export const nonceSize = 12

export type PackagePosition = 'inner' | 'final'

/** Marshals a DARE 2.0 package header. `nonce` is the stream's, with the top bit clear. */
export function marshalHeader(
  payloadSize: number,
  nonce: Buffer,
  position: PackagePosition,
): Buffer {
  const header = Buffer.allocUnsafe(packageHeaderSize)
  header[0] = version20
  header[1] = cipherAes256Gcm
  header.writeUInt16LE(payloadSize - 1, 2)
  nonce.copy(header, 4)
  if (position === 'final') header[4] = (header[4] ?? 0) | finalFlag
  return header
}

/** The nonce field of a header with the final flag cleared: the same in every package of a part. */
export function streamNonce(header: Buffer): Buffer {
  const nonce = Buffer.from(header.subarray(4, packageHeaderSize))
  nonce[0] = (nonce[0] ?? 0) & ~finalFlag
  return nonce
}

/** The AEAD nonce of package `index`: the header's nonce with the index XORed into its end. */
export function aeadNonce(header: Buffer, index: number): Buffer {
  const nonce = Buffer.from(header.subarray(4, packageHeaderSize))
  nonce.writeUInt32LE((nonce.readUInt32LE(8) ^ index) >>> 0, 8)
  return nonce
}

/** The bytes of a header that the package's tag authenticates besides the nonce. */
export function additionalData(header: Buffer): Buffer {
  return header.subarray(0, 4)
}

/** Plaintext bytes of the package as its (not yet verified) header states them. */
export function payloadSize(header: Buffer): number {
  return header.readUInt16LE(2) + 1
}

export function isFinalHeader(header: Buffer): boolean {
  return ((header[4] ?? 0) & finalFlag) !== 0
}
