import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { marshalEnvelope, parseEnvelope, readEnvelope } from '../../src/envelope/envelope.ts'
import { sealContext, type BodyLayout } from '../../src/envelope/place.ts'
import { openDek } from '../../src/envelope/sealed-dek.ts'
import { marshalUploadToken, parseUploadToken } from '../../src/envelope/upload-token.ts'
import { headerMap } from '../../src/s3/headers.ts'
import { Dek, expand } from '../../src/stream/dek.ts'
import { openEndRecord, sealEndRecord, type EndRecord } from '../../src/stream/end-record.ts'
import { IntegrityError, TruncationError } from '../../src/stream/errors.ts'
import { aeadNonce } from '../../src/stream/package-header.ts'
import { PartOpener } from '../../src/stream/part-opener.ts'
import { PartSealer } from '../../src/stream/part-sealer.ts'
import {
  objectPlainSize,
  objectStoredSize,
  partPlainSize,
  partStoredSize,
} from '../../src/stream/sizes.ts'
import { readStoredObject } from './stored-reader.ts'
import { bytes, mutate, seeded, sha256, vectorFile, type Op } from './vector-file.ts'

interface Refused {
  readonly name: string
  readonly of: string
  readonly ops?: readonly Op[]
  readonly released?: { readonly size: number; readonly sha256: string }
}

const newDek = (hex: string): Dek => new Dek(bytes(hex))

function byName<T extends { readonly name: string }>(entries: readonly T[]): (name: string) => T {
  const map = new Map(entries.map((entry) => [entry.name, entry]))
  return (name) => {
    const entry = map.get(name)
    if (!entry) throw new Error(`no vector ${name}`)
    return entry
  }
}

describe('derivations', () => {
  const file = vectorFile('derivations') as {
    expand: { key: string; info: string; size: number; out: string }[]
    part_keys: { dek: string; n: number; x: number; key: string }[]
    end_keys: {
      dek: string
      end_key: string
      token_key: string
      payload: string
      end_nonce: string
    }[]
    aead_nonces: { header_nonce: string; package: number; nonce: string }[]
  }

  test('expand', () => {
    for (const { key, info, size, out } of file.expand) {
      expect(expand(bytes(key), [bytes(info)], size).toString('hex')).toBe(out)
    }
  })

  test('part keys, end keys and nonces', () => {
    for (const { dek, n, x, key } of file.part_keys) {
      expect(newDek(dek).partKey(n, x).toString('hex')).toBe(key)
    }
    for (const entry of file.end_keys) {
      const dek = newDek(entry.dek)
      expect(dek.endKey().toString('hex')).toBe(entry.end_key)
      expect(dek.uploadTokenKey().toString('hex')).toBe(entry.token_key)
      expect(dek.endNonce(bytes(entry.payload)).toString('hex')).toBe(entry.end_nonce)
    }
    for (const entry of file.aead_nonces) {
      const header = Buffer.concat([Buffer.alloc(4), bytes(entry.header_nonce)])
      expect(aeadNonce(header, entry.package).toString('hex')).toBe(entry.nonce)
    }
  })
})

describe('sizes', () => {
  const file = vectorFile('sizes') as {
    forward: { plaintext: number; part: number; object: number }[]
    inverse: { stored: number; part: number | null; object: number | null }[]
  }

  test('forward and back', () => {
    for (const { plaintext, part, object } of file.forward) {
      expect([partStoredSize(plaintext), objectStoredSize(plaintext)]).toEqual([part, object])
    }
    for (const { stored, part, object } of file.inverse) {
      expect([stored, objectPlainSize(stored)]).toEqual([stored, object])
      // No part stream has no bytes, but an empty part has none.
      expect([stored, partPlainSize(stored)]).toEqual([stored, stored === 0 ? 0 : part])
    }
  })
})

describe('envelopes', () => {
  const file = vectorFile('envelopes') as {
    valid: { name: string; text: string; fields: Record<string, string> }[]
    refused: { name: string; text: string }[]
    refused_metadata: { name: string; headers: [string, string][] }[]
  }

  test.each(file.valid)('$name', ({ text, fields }) => {
    const envelope = parseEnvelope(text)
    expect(marshalEnvelope(envelope)).toBe(text)
    expect({
      layout: envelope.layout,
      kek: envelope.kek,
      kek_version: envelope.kekVersion,
      ik: envelope.wrappedIk.toString('hex'),
      dek: envelope.sealedDek.toString('hex'),
    }).toEqual(fields)
  })

  test.each(file.refused)('refused: $name', ({ text }) => {
    expect(() => parseEnvelope(text)).toThrow(IntegrityError)
  })

  test.each(file.refused_metadata)('refused metadata: $name', ({ headers }) => {
    expect(() => readEnvelope(headerMap(headers.flat()))).toThrow(IntegrityError)
  })
})

interface SealedDekVector {
  readonly name: string
  readonly ik: string
  readonly bucket: string
  readonly key: string
  readonly layout: BodyLayout
  readonly context: string
  readonly dek: string
  readonly sealed: string
}

describe('sealed DEKs', () => {
  const file = vectorFile('sealed-deks') as {
    valid: SealedDekVector[]
    refused: (Refused & Partial<SealedDekVector>)[]
  }
  const valid = byName(file.valid)

  test.each(file.valid)('$name', (vector) => {
    expect(sealContext(vector, vector.layout).toString('hex')).toBe(vector.context)
    const dek = openDek(bytes(vector.ik), bytes(vector.sealed), vector)
    expect(dek.reveal().toString('hex')).toBe(vector.dek)
  })

  test.each(file.refused)('refused: $name', (change) => {
    const vector = { ...valid(change.of), ...change }
    const sealed = mutate(bytes(vector.sealed), change.ops ?? [], () => Buffer.alloc(0))
    expect(() => openDek(bytes(vector.ik), sealed, vector)).toThrow(IntegrityError)
  })
})

interface PartStreamVector {
  readonly name: string
  readonly dek: string
  readonly n: number
  readonly x: number
  readonly nonce: string
  readonly seed: string
  readonly stored_sha256: string
}

describe('part streams', () => {
  const file = vectorFile('part-streams') as {
    valid: PartStreamVector[]
    refused: (Refused & { read?: { n?: number; x?: number; dek?: string } })[]
  }
  const valid = byName(file.valid)

  const stored = ({ dek, n, x, nonce, seed }: PartStreamVector): Buffer => {
    const sealer = new PartSealer(newDek(dek).partKey(n, x), x, { nonce: bytes(nonce) })
    const out: Buffer[] = []
    sealer.push(seeded(seed, x), out)
    sealer.finish(out)
    return Buffer.concat(out)
  }

  test.each(file.valid)('$name: sealed byte for byte, and opened', (vector) => {
    const data = stored(vector)
    expect(sha256(data)).toBe(vector.stored_sha256)
    const out: Buffer[] = []
    new PartOpener(newDek(vector.dek).partKey(vector.n, vector.x), vector.x).push(data, out)
    expect(Buffer.concat(out).equals(seeded(vector.seed, vector.x))).toBe(true)
  })

  test.each(file.refused)('refused: $name', ({ of, ops = [], read = {}, released }) => {
    const vector = valid(of)
    const data = mutate(stored(vector), ops, (name) => stored(valid(name)))
    const { n, x, dek } = { ...vector, ...read }
    const out: Buffer[] = []
    const opener = new PartOpener(newDek(dek).partKey(n, x), x)
    const error = failure(() => {
      opener.push(data.subarray(0, opener.remaining), out)
      if (opener.remaining > 0 || data.length > partStoredSize(x)) {
        throw new TruncationError('not the whole stream and nothing else')
      }
    })
    expect(error).toBeInstanceOf(IntegrityError)
    expectReleased(Buffer.concat(out), seeded(vector.seed, vector.x), released)
  })
})

function failure(step: () => void): unknown {
  try {
    step()
    return null
  } catch (error) {
    return error
  }
}

/** What came out is a prefix of the plaintext, no longer than the reference reader gave out. */
function expectReleased(
  out: Buffer,
  plain: Buffer,
  released: Refused['released'] = { size: 0, sha256: '' },
): void {
  expect(out.equals(plain.subarray(0, out.length))).toBe(true)
  expect(out.length).toBeLessThanOrEqual(released.size)
}

const algorithms = [null, 'CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const

interface EndRecordVector {
  readonly name: string
  readonly dek: string
  readonly n: number
  readonly l: number
  readonly zone: boolean
  readonly algorithm: number
  readonly checksum: string
  readonly stored: string
}

describe('end records', () => {
  const file = vectorFile('end-records') as {
    valid: EndRecordVector[]
    refused: (Refused & { dek?: string; stored?: string })[]
  }
  const valid = byName(file.valid)

  test.each(file.valid)('$name', (vector) => {
    const algorithm = algorithms[vector.algorithm] ?? null
    const record: EndRecord = {
      lastPart: vector.n,
      lastPartSize: vector.zone
        ? { kind: 'zone', storedSize: vector.l }
        : { kind: 'plain', size: vector.l },
      checksum: algorithm === null ? null : { algorithm, value: bytes(vector.checksum) },
    }
    const dek = newDek(vector.dek)
    expect(sealEndRecord(dek, record).toString('hex')).toBe(vector.stored)
    expect(openEndRecord(dek, bytes(vector.stored))).toEqual(record)
  })

  test.each(file.refused)('refused: $name', (change) => {
    const base = change.of === undefined ? undefined : valid(change.of)
    const stored = bytes(change.stored ?? base?.stored ?? '')
    const data = mutate(stored, change.ops ?? [], (name) => bytes(valid(name).stored))
    const dek = newDek(change.dek ?? base?.dek ?? '')
    expect(() => openEndRecord(dek, data)).toThrow(IntegrityError)
  })
})

interface ObjectVector {
  readonly name: string
  readonly bucket: string
  readonly key: string
  readonly ik: string
  readonly envelope: string
  readonly dek: string
  readonly seed: string
  readonly parts?: readonly number[]
  readonly nonces?: readonly string[]
  readonly part_count?: number
  readonly part_size?: number
  readonly nonce_base?: string
  readonly records: readonly string[]
  readonly plaintext_size: number
  readonly stored_sha256: string
}

describe('objects', () => {
  const file = vectorFile('objects') as {
    valid: ObjectVector[]
    refused: (Refused & {
      expect: string
      bucket?: string
      key?: string
      envelope?: string
      sizes?: number[]
      announced?: number
    })[]
  }
  const valid = byName(file.valid)
  const cache = new Map<string, Buffer>()

  function stored(vector: ObjectVector): Buffer {
    const cached = cache.get(vector.name)
    if (cached) return cached
    const dek = newDek(vector.dek)
    const plain = seeded(vector.seed, vector.plaintext_size)
    const out: Buffer[] = []
    let offset = 0
    for (const [index, size] of partSizes(vector).entries()) {
      const key = dek.partKey(index + 1, size)
      const sealer = new PartSealer(key, size, { nonce: partNonce(vector, index) })
      sealer.push(plain.subarray(offset, offset + size), out)
      sealer.finish(out)
      offset += size
    }
    for (const payload of vector.records) out.push(sealedPayload(dek, bytes(payload)))
    const data = Buffer.concat(out)
    cache.set(vector.name, data)
    return data
  }

  test.each(file.valid)('$name: sealed byte for byte, and read', async (vector) => {
    const data = stored(vector)
    expect(sha256(data)).toBe(vector.stored_sha256)
    const { released, error } = await readStoredObject({ ...vector, data })
    expect(error).toBeNull()
    expect(released.equals(seeded(vector.seed, vector.plaintext_size))).toBe(true)
  })

  test.each(file.refused)('refused: $name', async (change) => {
    const vector = { ...valid(change.of), ...change, name: change.of }
    const data = mutate(stored(valid(change.of)), change.ops ?? [], (name) => stored(valid(name)))
    const { released, error } = await readStoredObject({ ...vector, data })
    expect(error).toBeInstanceOf(IntegrityError)
    const plain = seeded(vector.seed, vector.plaintext_size)
    expect(released.equals(plain.subarray(0, released.length))).toBe(true)
    const isSearched = change.expect === 'layout' && change.sizes === undefined
    const limit = isSearched ? plain.length : (change.released?.size ?? 0)
    expect(released.length).toBeLessThanOrEqual(limit)
  })
})

function partSizes(vector: ObjectVector): readonly number[] {
  return vector.parts ?? Array.from({ length: vector.part_count ?? 0 }, () => vector.part_size ?? 0)
}

function partNonce(vector: ObjectVector, index: number): Buffer {
  const listed = vector.nonces?.[index]
  if (listed !== undefined) return bytes(listed)
  const nonce = bytes(vector.nonce_base ?? '')
  nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ (index + 1)) >>> 0, 8)
  return nonce
}

/** Seals any payload as an end record, also one that `sealEndRecord` would never make. */
function sealedPayload(dek: Dek, payload: Buffer): Buffer {
  const nonce = dek.endNonce(payload)
  nonce[0] = (nonce[0] ?? 0) & 0x7f
  const sealer = new PartSealer(dek.endKey(), payload.length, { nonce })
  const out: Buffer[] = []
  sealer.push(payload, out)
  sealer.finish(out)
  return Buffer.concat(out)
}

describe('upload tokens', () => {
  const file = vectorFile('upload-tokens') as {
    bucket: string
    key: string
    ik: string
    valid: { name: string; dek: string; upload_id: string; envelope: string; token: string }[]
    refused: { name: string; token: string }[]
    refused_places: { name: string; of: string; bucket: string; key: string }[]
  }

  const open = (token: string, place: { bucket: string; key: string }) => {
    const parsed = parseUploadToken(token)
    const { sealedDek, layout } = parsed.envelope
    const dek = openDek(bytes(file.ik), sealedDek, { ...place, layout })
    parsed.verify(dek)
    return { parsed, dek }
  }

  test.each(file.valid)('$name', ({ dek, upload_id, envelope, token }) => {
    const opened = open(token, file)
    expect(opened.parsed.backendUploadId).toBe(upload_id)
    expect(marshalEnvelope(opened.parsed.envelope)).toBe(envelope)
    expect(opened.dek.reveal().toString('hex')).toBe(dek)
    expect(marshalUploadToken(opened.parsed, opened.dek)).toBe(token)
  })

  test.each(file.refused)('refused: $name', ({ token }) => {
    expect(() => open(token, file)).toThrow(IntegrityError)
  })

  test.each(file.refused_places)('refused at $name', ({ of, ...place }) => {
    expect(() => open(byName(file.valid)(of).token, place)).toThrow(IntegrityError)
  })
})

test('expand is the first block of HKDF-Expand', () => {
  const key = Buffer.alloc(32, 1)
  const expected = createHmac('sha512', key).update('info\u0001').digest()
  expect(expand(key, [Buffer.from('info')], 64).equals(expected)).toBe(true)
})
