import { createCipheriv, createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** Reads one of the vector files; README.md beside them is their schema. */
export function vectorFile(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`${name}.json`, import.meta.url), 'utf8'))
}

export const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex')

export const sha256 = (data: Buffer): string => createHash('sha256').update(data).digest('hex')

/** The first bytes of SHAKE-256 of a seed. */
export function seeded(seed: string, size: number): Buffer {
  if (size === 0) return Buffer.alloc(0)
  return createHash('shake256', { outputLength: size }).update(seed).digest()
}

/** One mutation; each kind has some of the members. */
export interface Op {
  readonly op: string
  readonly offset: number
  readonly size: number
  readonly mask: number
  readonly from: number
  readonly to: number
  readonly a: number
  readonly size_a: number
  readonly b: number
  readonly size_b: number
  readonly hex: string
  readonly of: string
  readonly key: string
  readonly header: string
  readonly nonce: string
  readonly seed: string
  readonly length: number
}

/** Changes stored bytes as the ops say; `valid` gives the bytes of another entry, for splices. */
export function mutate(
  stored: Buffer,
  ops: readonly Op[],
  valid: (name: string) => Buffer,
): Buffer {
  return ops.reduce<Buffer>((data, op) => apply(data, op, valid), Buffer.from(stored))
}

function apply(data: Buffer, op: Op, valid: (name: string) => Buffer): Buffer {
  const replace = (at: number, size: number, by: Buffer): Buffer =>
    Buffer.concat([data.subarray(0, at), by, data.subarray(at + size)])
  switch (op.op) {
    case 'flip':
      return replace(op.offset, 1, Buffer.of((data[op.offset] ?? 0) ^ op.mask))
    case 'truncate':
      return data.subarray(0, op.size)
    case 'remove':
      return replace(op.offset, op.size, Buffer.alloc(0))
    case 'copy':
      return replace(op.to, 0, data.subarray(op.from, op.from + op.size))
    case 'swap':
      return Buffer.concat([
        data.subarray(0, op.a),
        data.subarray(op.b, op.b + op.size_b),
        data.subarray(op.a + op.size_a, op.b),
        data.subarray(op.a, op.a + op.size_a),
        data.subarray(op.b + op.size_b),
      ])
    case 'insert':
      return replace(op.offset, 0, bytes(op.hex))
    case 'zeros':
      return replace(op.offset, 0, Buffer.alloc(op.size))
    case 'overwrite':
      return replace(op.offset, op.hex.length / 2, bytes(op.hex))
    case 'splice':
      return replace(op.offset, op.size, valid(op.of).subarray(op.from, op.from + op.size))
    case 'seal':
      return replace(op.offset, op.size, sealedPackage(op))
    default:
      throw new Error(`unknown op ${op.op}`)
  }
}

function sealedPackage(op: Op): Buffer {
  const header = bytes(op.header)
  const cipher = createCipheriv('aes-256-gcm', bytes(op.key), bytes(op.nonce))
  cipher.setAAD(header.subarray(0, 4))
  const plain = seeded(op.seed, op.from + op.length).subarray(op.from)
  return Buffer.concat([header, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}
