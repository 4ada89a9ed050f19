import { S3Error } from './errors.ts'
import { childText, malformedXml, parseRequestXml } from './xml.ts'

/** A part that a client names in CompleteMultipartUpload. */
export interface CompletedPart {
  readonly number: number
  /** As the client sent it. */
  readonly etag: string
}

/** 10,000 parts with several checksums each. */
export const maxCompleteRequestSize = 4 * 1024 * 1024
const maxParts = 10_000

/** Parses the body of CompleteMultipartUpload. Throws MalformedXML, InvalidPartOrder. */
export function parseCompleteRequest(body: Buffer): CompletedPart[] {
  const root = parseRequestXml(body, { maxBytes: maxCompleteRequestSize })
  const rows = root.children.filter(({ name }) => name === 'Part')
  const isOther = root.name !== 'CompleteMultipartUpload' || rows.length !== root.children.length
  if (isOther || rows.length === 0 || rows.length > maxParts) throw malformedXml()
  const parts = rows.map((row) => {
    const number = childText(row, 'PartNumber').trim()
    const etag = childText(row, 'ETag').trim()
    if (!/^\d{1,5}$/.test(number) || etag === '') throw malformedXml()
    return { number: Number(number), etag }
  })
  if (parts.some(({ number }, index) => number <= (parts[index - 1]?.number ?? 0))) {
    throw new S3Error(
      'InvalidPartOrder',
      'The list of parts was not in ascending order. Parts must be ordered by part number.',
    )
  }
  return parts
}
