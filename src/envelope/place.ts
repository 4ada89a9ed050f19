/** How an object's body is stored (`docs/format.md` §4). */
export type BodyLayout = 'empty' | 'single' | 'multipart'

/** Where an object lives: what its sealed DEK is bound to. `key` is the decoded one. */
export interface ObjectPlace {
  readonly bucket: string
  readonly key: string
}

/** The sealing context (`docs/format.md` §3.2). */
export function sealContext(place: ObjectPlace, layout: BodyLayout): Buffer {
  return Buffer.concat([
    Buffer.of(1),
    lengthPrefixed(place.bucket),
    lengthPrefixed(place.key),
    lengthPrefixed(layout),
  ])
}

/** lp(text): the length in bytes as u32be, then the bytes. */
export function lengthPrefixed(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8')
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}
