/**
 * Header names (lower case) to values, as they came over the wire: each value is a latin1 string
 * (one char a byte), lines of the same name are joined with a comma in their order.
 */
export type HeaderMap = ReadonlyMap<string, string>

/** Builds a {@link HeaderMap} from Node's flat `rawHeaders` list. */
export function headerMap(rawHeaders: readonly string[]): HeaderMap {
  const map = new Map<string, string>()
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? '').toLowerCase()
    // Node has taken off the spaces around it; `trim` would also take the byte A0 of UTF-8 letters.
    const value = rawHeaders[i + 1] ?? ''
    const before = map.get(name)
    map.set(name, before === undefined ? value : `${before},${value}`)
  }
  return map
}

/** Headers to send: names in lower case, values as latin1 strings. */
export type HeaderRecord = Record<string, string>
