import { maxKeySize } from './target.ts'
import { malformedXml, parseRequestXml, requestText } from './xml.ts'

export interface DeletedObject {
  readonly key: string
  readonly versionId: string | null
}

/** 1,000 keys of 1,024 bytes; escaping may make each byte six. */
export const maxDeleteRequestSize = 8 * 1024 * 1024
const maxObjects = 1000

/** Parses the body of DeleteObjects. Throws MalformedXML. */
export function parseDeleteObjects(body: Buffer): DeletedObject[] {
  const root = parseRequestXml(body, { maxBytes: maxDeleteRequestSize })
  const rows = root.children.filter(({ name }) => name === 'Object')
  if (root.name !== 'Delete' || rows.length === 0 || rows.length > maxObjects) throw malformedXml()
  return rows.map((row) => {
    const key = requestText(row, 'Key')
    if (key === '' || Buffer.byteLength(key) > maxKeySize) throw malformedXml()
    return { key, versionId: requestText(row, 'VersionId') || null }
  })
}
