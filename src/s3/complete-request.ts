import { S3Error } from './errors.ts'
import { maxPartNumber } from '../stream/sizes.ts'
import { malformedXml, parseRequestXml, requestText } from './xml.ts'

/** A part that a client names in CompleteMultipartUpload. */
export interface CompletedPart {
  readonly number: number
  /** As the client sent it. */
  readonly etag: string
}

/** 10,000 parts with several checksums each. */
export const maxCompleteRequestSize = 4 * 1024 * 1024

/** Parses the body of CompleteMultipartUpload. Throws MalformedXML, InvalidArgument, InvalidPartOrder. */
export function parseCompleteRequest(body: Buffer): CompletedPart[] {
  const root = parseRequestXml(body, { maxBytes: maxCompleteRequestSize })
  const rows = root.children.filter(({ name }) => name === 'Part')
  const isOther = root.name !== 'CompleteMultipartUpload' || rows.length !== root.children.length
  if (isOther || rows.length === 0 || rows.length > maxPartNumber) throw malformedXml()
  const parts = rows.map((row) => {
    const number = requestText(row, 'PartNumber').trim()
    const etag = requestText(row, 'ETag').trim()
    if (!/^\d{1,5}$/.test(number) || etag === '') throw malformedXml()
    if (Number(number) < 1 || Number(number) > maxPartNumber) throw invalidPartNumber(number)
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

function invalidPartNumber(number: string): S3Error {
  return new S3Error(
    'InvalidArgument',
    `Part number must be an integer between 1 and ${maxPartNumber}, inclusive`,
    { fields: { ArgumentName: 'PartNumber', ArgumentValue: number } },
  )
}
