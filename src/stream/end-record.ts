import { createCipheriv, createDecipheriv } from 'node:crypto'
import type { Dek } from './dek.ts'
import { AuthenticationError, FormatError, TruncationError } from './errors.ts'
import { additionalData, aeadNonce, marshalHeader, streamNonce } from './package-header.ts'
import {
  endRecordSize,
  isInZone,
  maxPartNumber,
  packageHeaderSize,
  packageTagSize,
  type PlainBytes,
  type StoredBytes,
} from './sizes.ts'

const payloadSize = 64
const recordVersion = 1
const zoneFlag = 1
const fullObject = 0
const checksumOffset = 16

const checksumKinds = [
  { id: 1, algorithm: 'CRC32', size: 4 },
  { id: 2, algorithm: 'CRC32C', size: 4 },
  { id: 3, algorithm: 'CRC64NVME', size: 8 },
  { id: 4, algorithm: 'SHA1', size: 20 },
  { id: 5, algorithm: 'SHA256', size: 32 },
] as const

/** A checksum of the whole plaintext, big-endian as S3 encodes it. */
export interface ObjectChecksum {
  readonly algorithm: (typeof checksumKinds)[number]['algorithm']
  readonly value: Buffer
}

/** What an end record states (`docs/format.md` §4.2). */
export interface EndRecord {
  /** N, the number of the last part. */
  readonly lastPart: number
  /** The size of part N: its plaintext size or, in the zone, its stored size. */
  readonly lastPartSize:
    | { readonly kind: 'plain'; readonly size: PlainBytes }
    | { readonly kind: 'zone'; readonly storedSize: StoredBytes }
  readonly checksum: ObjectChecksum | null
}

/** Seals a record into its 96 stored bytes; the same record always gives the same bytes. */
export function sealEndRecord(dek: Dek, record: EndRecord): Buffer {
  const payload = marshal(record)
  const nonce = dek.endNonce(payload)
  nonce[0] = (nonce[0] ?? 0) & 0x7f
  const header = marshalHeader(payloadSize, nonce, 'final')
  const cipher = createCipheriv('aes-256-gcm', dek.endKey(), aeadNonce(header, 0))
  cipher.setAAD(additionalData(header))
  return Buffer.concat([header, cipher.update(payload), cipher.final(), cipher.getAuthTag()])
}

/** Opens the 96 stored bytes of a record. Throws IntegrityError. */
export function openEndRecord(dek: Dek, stored: Buffer): EndRecord {
  if (stored.length !== endRecordSize) {
    throw new TruncationError(`end record has ${stored.length} bytes instead of ${endRecordSize}`)
  }
  const header = stored.subarray(0, packageHeaderSize)
  if (!marshalHeader(payloadSize, streamNonce(header), 'final').equals(header)) {
    throw new FormatError('end record: header is malformed')
  }
  const decipher = createDecipheriv('aes-256-gcm', dek.endKey(), aeadNonce(header, 0), {
    authTagLength: packageTagSize,
  })
  decipher.setAAD(additionalData(header))
  const payload = decipher.update(stored.subarray(packageHeaderSize, -packageTagSize))
  decipher.setAuthTag(stored.subarray(-packageTagSize))
  try {
    decipher.final()
  } catch (cause) {
    throw new AuthenticationError("end record: tag doesn't verify", { cause })
  }
  return parse(payload)
}

function marshal(record: EndRecord): Buffer {
  const payload = Buffer.alloc(payloadSize)
  payload[0] = recordVersion
  payload.writeUInt32BE(record.lastPart, 4)
  if (record.lastPartSize.kind === 'zone') {
    payload[1] = zoneFlag
    payload.writeBigUInt64BE(BigInt(record.lastPartSize.storedSize), 8)
  } else {
    payload.writeBigUInt64BE(BigInt(record.lastPartSize.size), 8)
  }
  if (record.checksum) {
    const { algorithm, value } = record.checksum
    const kind = checksumKinds.find((candidate) => candidate.algorithm === algorithm)
    if (!kind || value.length !== kind.size) {
      throw new RangeError(`end record: ${algorithm} checksum of ${value.length} bytes`)
    }
    payload[2] = kind.id
    payload[3] = fullObject
    value.copy(payload, checksumOffset)
  }
  return payload
}

function parse(payload: Buffer): EndRecord {
  if (payload[0] !== recordVersion) throw new FormatError(`end record: version ${payload[0]}`)
  const flags = payload[1] ?? 0
  if ((flags & ~zoneFlag) !== 0) throw new FormatError(`end record: flags ${flags}`)
  if (payload[3] !== fullObject) throw new FormatError(`end record: checksum type ${payload[3]}`)
  const checksum = parseChecksum(payload)
  const lastPart = payload.readUInt32BE(4)
  if (lastPart < 1 || lastPart > maxPartNumber) {
    throw new FormatError(`end record: part number ${lastPart}`)
  }
  const size = payload.readBigUInt64BE(8)
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw new FormatError('end record: size too large')
  if (flags !== zoneFlag)
    return { lastPart, lastPartSize: { kind: 'plain', size: Number(size) }, checksum }
  if (!isInZone(Number(size))) throw new FormatError(`end record: ${size} isn't in the zone`)
  return { lastPart, lastPartSize: { kind: 'zone', storedSize: Number(size) }, checksum }
}

function parseChecksum(payload: Buffer): ObjectChecksum | null {
  const kind = checksumKinds.find((candidate) => candidate.id === payload[2])
  if (!kind && payload[2] !== 0) throw new FormatError(`end record: algorithm ${payload[2]}`)
  const end = checksumOffset + (kind?.size ?? 0)
  if (payload.subarray(end).some((byte) => byte !== 0)) {
    throw new FormatError('end record: padding is not zero')
  }
  if (!kind) return null
  return { algorithm: kind.algorithm, value: Buffer.from(payload.subarray(checksumOffset, end)) }
}
