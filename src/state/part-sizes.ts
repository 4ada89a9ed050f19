/** S3's limit of parts in one multipart upload. */
export const MAX_PARTS = 10_000

/**
 * Marshals the sizes of part 1…N as runs: `5242880*3,17` is three parts of 5 MiB and one of 17 bytes;
 * no sizes at all are the empty text. Throws RangeError for more than MAX_PARTS sizes, and for one
 * that is no whole number of bytes.
 */
export function marshalPartSizes(sizes: readonly number[]): string {
  if (sizes.length > MAX_PARTS) {
    throw new RangeError(`A layout has at most ${MAX_PARTS} parts, not ${sizes.length}`)
  }
  const runs: { size: number; count: number }[] = []
  for (const size of sizes) {
    if (!Number.isSafeInteger(size) || size < 0) throw new RangeError(`Not a part size: ${size}`)
    const last = runs.at(-1)
    if (last?.size === size) last.count++
    else runs.push({ size, count: 1 })
  }
  return runs.map(({ size, count }) => (count === 1 ? `${size}` : `${size}*${count}`)).join(',')
}

/** The reverse of marshalPartSizes. Throws RangeError if the text isn't one that it writes. */
export function parsePartSizes(text: string): number[] {
  const sizes: number[] = []
  if (text === '') return sizes
  for (const run of text.split(',')) {
    const match = /^(\d{1,16})(?:\*(\d{1,5}))?$/.exec(run)
    if (!match) throw new RangeError('Malformed part sizes')
    const size = Number(match[1])
    const count = Number(match[2] ?? 1)
    if (!Number.isSafeInteger(size) || count === 0 || sizes.length + count > MAX_PARTS) {
      throw new RangeError('Part sizes out of range')
    }
    for (let i = 0; i < count; i++) sizes.push(size)
  }
  return sizes
}
