import { checksumAlgorithms, createChecksum, type ChecksumAlgorithm } from '../checksum/checksum.ts'
import { S3Error } from './errors.ts'
import type { HeaderMap } from './headers.ts'
import { queryValue, signatureParameters, type QueryParameter, type Target } from './target.ts'

const headerName = /^x-amz-[!#$%&'*+.^_`|~0-9a-z-]+$/

export interface Hoisted {
  readonly target: Target
  readonly headers: HeaderMap
}

/**
 * The request that a presigned URL stands for: SDKs put `x-amz-*` headers into the query before they
 * sign it ("hoisting"), and S3 reads them as headers. Other requests stay as they are. Throws
 * S3Error (InvalidArgument) for what can't be a header or is stated twice.
 */
export function readHoistedHeaders({ target, headers }: Hoisted): Hoisted {
  if (queryValue(target, 'X-Amz-Algorithm') === null) return { target, headers }
  const merged = new Map(headers)
  for (const parameter of target.query.filter(isHoisted)) {
    const name = parameter.name.toLowerCase()
    if (isMadeWithoutBody(name, parameter.value)) continue
    const value = Buffer.from(parameter.value, 'utf8').toString('latin1')
    if (/[^\t -~\u0080-\u00ff]/.test(value) || merged.has(name)) {
      throw new S3Error('InvalidArgument', `The value of ${name} is invalid or stated twice.`, {
        fields: { ArgumentName: name },
      })
    }
    merged.set(name, value)
  }
  const query = target.query.filter((parameter) => !isHoisted(parameter))
  return { target: { ...target, query }, headers: merged }
}

function isHoisted({ name }: QueryParameter): boolean {
  return !signatureParameters.test(name) && headerName.test(name.toLowerCase())
}

/**
 * SDKs that presign an upload don't have its body yet: they state the checksum of nothing, which S3
 * ignores. Any other checksum is verified.
 */
function isMadeWithoutBody(name: string, value: string): boolean {
  if (name === 'x-amz-sdk-checksum-algorithm') return true
  const isOfNothing = (algorithm: ChecksumAlgorithm): boolean =>
    name === `x-amz-checksum-${algorithm.toLowerCase()}` &&
    value === createChecksum(algorithm).digest().toString('base64')
  return checksumAlgorithms.some(isOfNothing)
}
