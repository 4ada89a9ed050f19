import { S3Error } from './errors.ts'
import type { HeaderMap } from './headers.ts'
import { queryValue, type QueryParameter, type Target } from './target.ts'

const signatureParameter =
  /^X-Amz-(Algorithm|Credential|Date|Expires|SignedHeaders|Signature|Content-Sha256|Security-Token)$/

/** True for parameters that belong to a presigned URL's signature. */
export function isSignatureParameter(name: string): boolean {
  return signatureParameter.test(name)
}

/**
 * The parameters of a presigned URL that stand for headers: signers move `x-amz-*` headers into the
 * query, so that whoever uses the URL needs no headers. Empty for requests that aren't presigned.
 */
export function headerParameters(target: Target): readonly QueryParameter[] {
  if (queryValue(target, 'X-Amz-Algorithm') === null) return []
  return target.query.filter(({ name }) => /^x-amz-/i.test(name) && !isSignatureParameter(name))
}

/**
 * A request's headers with those that its presigned URL carries. Throws InvalidArgument for names
 * and values that no header can have, and for contradictions.
 */
export function withPresignedHeaders(headers: HeaderMap, target: Target): HeaderMap {
  const all = new Map(headers)
  for (const parameter of headerParameters(target)) {
    const name = parameter.name.toLowerCase()
    const value = Buffer.from(parameter.value, 'utf8').toString('latin1').trim()
    const isHeader =
      /^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name) && /^[\t\x20-\x7e\x80-\xff]*$/.test(value)
    if (!isHeader || (all.get(name) ?? value) !== value) {
      throw new S3Error('InvalidArgument', `The query parameter ${name} is not a valid header.`, {
        fields: { ArgumentName: name },
      })
    }
    all.set(name, value)
  }
  return all
}
