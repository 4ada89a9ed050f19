import type { HeaderMap } from '../s3/headers.ts'
import { FormatError } from '../stream/errors.ts'
import { decodeBase64url } from './base64url.ts'
import type { BodyLayout } from './place.ts'
import { sealedDekSize } from './sealed-dek.ts'

import { reservedMetadataPrefix } from '../s3/reserved-metadata.ts'
export const envelopeHeader = `${reservedMetadataPrefix}envelope`

const maxEnvelopeLength = 2048
const maxWrappedIkSize = 1024
const layouts: ReadonlySet<string> = new Set<BodyLayout>(['empty', 'single', 'multipart'])

/** What an object's metadata says about its keys (`docs/format.md` §3). */
export interface Envelope {
  readonly layout: BodyLayout
  /** Key reference, such as `local:nebulaio-master`. */
  readonly kek: string
  readonly kekVersion: string
  readonly wrappedIk: Buffer
  readonly sealedDek: Buffer
}

export function marshalEnvelope(envelope: Envelope): string {
  return [
    'v=1',
    `layout=${envelope.layout}`,
    `kek=${envelope.kek}`,
    `kek-version=${envelope.kekVersion}`,
    `ik=${envelope.wrappedIk.toString('base64url')}`,
    `dek=${envelope.sealedDek.toString('base64url')}`,
  ].join(';')
}

/** Parses strictly: any deviation from the one spelling throws FormatError. */
export function parseEnvelope(text: string): Envelope {
  if (text.length > maxEnvelopeLength) throw new FormatError('envelope: too long')
  if (!text.startsWith('v=1;')) throw new FormatError('envelope: unknown version')
  const fields = text.split(';')
  const names = ['v', 'layout', 'kek', 'kek-version', 'ik', 'dek']
  if (fields.length !== names.length) throw new FormatError('envelope: wrong number of fields')
  const values = fields.map((field, index) => {
    const name = `${names[index]}=`
    if (!field.startsWith(name)) throw new FormatError(`envelope: field ${names[index]} expected`)
    return field.slice(name.length)
  })
  const [, layout = '', kek = '', kekVersion = '', ik = '', dek = ''] = values
  if (!isLayout(layout)) throw new FormatError('envelope: unknown layout')
  if (!/^[a-z]+:[!-:<-~]{1,510}$/.test(kek) || kek.length > 512) {
    throw new FormatError('envelope: malformed key reference')
  }
  if (!/^[A-Za-z0-9._-]{1,128}$/.test(kekVersion)) {
    throw new FormatError('envelope: malformed key version')
  }
  const wrappedIk = decodeBase64url(ik, 'envelope ik')
  if (wrappedIk.length < 1 || wrappedIk.length > maxWrappedIkSize) {
    throw new FormatError(`envelope: wrapped IK of ${wrappedIk.length} bytes`)
  }
  const sealedDek = decodeBase64url(dek, 'envelope dek')
  if (sealedDek.length !== sealedDekSize) {
    throw new FormatError(`envelope: sealed DEK of ${sealedDek.length} bytes`)
  }
  return { layout, kek, kekVersion, wrappedIk, sealedDek }
}

function isLayout(text: string): text is BodyLayout {
  return layouts.has(text)
}

/**
 * The envelope among an object's headers; null if there is no reserved name at all, so that the
 * object isn't one of ours. Throws FormatError if a reserved name is there but no valid envelope.
 */
export function readEnvelope(headers: HeaderMap): Envelope | null {
  const reserved = [...headers.keys()].filter((name) => name.startsWith(reservedMetadataPrefix))
  if (reserved.length === 0) return null
  const unknown = reserved.find((name) => name !== envelopeHeader)
  if (unknown !== undefined) throw new FormatError(`unknown reserved metadata ${unknown}`)
  return parseEnvelope(headers.get(envelopeHeader) ?? '')
}
