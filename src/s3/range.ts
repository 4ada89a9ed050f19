import { S3Error } from './errors.ts'

/** One byte range as a client asks for it (RFC 9110 §14.1.2). */
export type RangeSpec =
  | { readonly kind: 'from'; readonly first: number; readonly last: number | null }
  | { readonly kind: 'suffix'; readonly size: number }

/** Half-open. */
export interface ByteSpan {
  readonly start: number
  readonly end: number
}

/**
 * Parses a Range header. Null if there is none, or one that S3 ignores: several ranges, another unit,
 * malformed.
 */
export function parseRange(header: string | undefined): RangeSpec | null {
  const [, first = '', last = ''] = /^\s*bytes\s*=\s*(\d*)-(\d*)\s*$/i.exec(header ?? '') ?? []
  if (first === '' && last === '') return null
  if (first === '') return { kind: 'suffix', size: clamp(last) }
  if (last !== '' && clamp(last) < clamp(first)) return null
  return { kind: 'from', first: clamp(first), last: last === '' ? null : clamp(last) }
}

function clamp(digits: string): number {
  return Math.min(Number(digits), Number.MAX_SAFE_INTEGER)
}

/** The bytes of an object of this size that a range names. Throws InvalidRange if there are none. */
export function resolveRange(spec: RangeSpec, size: number): ByteSpan {
  const span =
    spec.kind === 'suffix'
      ? { start: Math.max(0, size - spec.size), end: size }
      : { start: spec.first, end: Math.min(size, (spec.last ?? size) + 1) }
  if (span.start < span.end) return span
  throw new S3Error('InvalidRange', 'The requested range is not satisfiable', {
    fields: { ActualObjectSize: String(size) },
    headers: { 'content-range': `bytes */${size}` },
  })
}

/** Parses `x-amz-copy-source-range`: exactly `bytes=first-last`. Throws InvalidArgument. */
export function parseCopySourceRange(header: string): ByteSpan {
  const [, first = '', last = ''] = /^bytes=(\d{1,15})-(\d{1,15})$/.exec(header) ?? []
  if (first === '' || Number(last) < Number(first)) {
    throw new S3Error(
      'InvalidArgument',
      'The x-amz-copy-source-range value must be of the form bytes=first-last',
      { fields: { ArgumentName: 'x-amz-copy-source-range', ArgumentValue: header } },
    )
  }
  return { start: Number(first), end: Number(last) + 1 }
}
