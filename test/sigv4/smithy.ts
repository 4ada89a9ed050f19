import { Sha256 } from '@aws-crypto/sha256-js'
import { SignatureV4 } from '@smithy/signature-v4'
import type { SignableRequest } from '../../src/sigv4/canonical.ts'

/** A request as people write it: decoded, in Unicode. */
export interface PlainRequest {
  readonly method: string
  /** Path segments behind the first slash. */
  readonly segments: readonly string[]
  readonly query: readonly (readonly [name: string, value: string])[]
  readonly headers: Readonly<Record<string, string>>
}

export const secretAccessKey = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'
export const accessKeyId = 'AKIAIOSFODNN7EXAMPLE'
export const signingDate = new Date('2013-05-24T00:00:00Z')

/** Unicode text as the bytes that go over the wire. */
export function wire(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

/** Encodes every byte but the unreserved ones, differently from the product's way. */
export function percent(text: string): string {
  return Array.from(Buffer.from(text, 'utf8'), (byte) => {
    const char = String.fromCharCode(byte)
    return /[A-Za-z0-9\-._~]/.test(char)
      ? char
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }).join('')
}

export function toSignable(request: PlainRequest): SignableRequest {
  return {
    method: request.method,
    rawPath: `/${request.segments.map(percent).join('/')}`,
    rawQuery: request.query.map(([name, value]) => `${percent(name)}=${percent(value)}`).join('&'),
    headers: Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, wire(value)]),
    ),
  }
}

/** The headers that smithy's signer, an independent implementation, gives the request. */
export async function signBySmithy(
  request: PlainRequest,
  { region = 'us-east-1' }: { readonly region?: string } = {},
): Promise<Record<string, string>> {
  const query = new Map<string, string[]>()
  for (const [name, value] of request.query) {
    query.set(name, [...(query.get(name) ?? []), value])
  }
  const signer = new SignatureV4({
    service: 's3',
    region,
    credentials: { accessKeyId, secretAccessKey },
    sha256: Sha256,
    uriEscapePath: false,
  })
  const signed = await signer.sign(
    {
      method: request.method,
      protocol: 'http:',
      hostname: 'unused',
      path: toSignable(request).rawPath,
      query: Object.fromEntries(query),
      headers: { ...request.headers },
    },
    { signingDate, signableHeaders: new Set(Object.keys(request.headers)) },
  )
  return signed.headers
}
