/**
 * ETags between backend and client: encrypted objects' ETags are no MD5 of the
 * plaintext, and clients take a bare 32-digit ETag for one. So an ETag without a hyphen, or one that
 * ends in `-1` already, gets `-1` appended; on the way in exactly one trailing `-1` is taken off.
 */
export function toClientEtag(etag: string): string {
  return mapOpaque(etag, (opaque) =>
    opaque !== '' && (!opaque.includes('-') || opaque.endsWith('-1')) ? `${opaque}-1` : opaque,
  )
}

/** The inverse of {@link toClientEtag}; quotes and a weak prefix are kept. */
export function toBackendEtag(etag: string): string {
  return mapOpaque(etag, (opaque) => opaque.replace(/-1$/, ''))
}

/** The value of If-Match or If-None-Match: `*` or a list of ETags. */
export function toBackendConditional(value: string): string {
  if (value.trim() === '*') return '*'
  // A quoted ETag may have commas in it (RFC 9110 §8.8.3).
  const etags = value.match(/(?:W\/)?"[^"]*"|[^\s,][^,]*/g) ?? []
  return etags.map((etag) => toBackendEtag(etag.trim())).join(', ')
}

function mapOpaque(etag: string, map: (opaque: string) => string): string {
  const [, prefix = '', opaque = '', suffix = ''] = /^((?:W\/)?"?)(.*?)("?)$/s.exec(etag) ?? []
  return prefix + map(opaque) + suffix
}
