/** Eight tables for slicing-by-8 of a reflected 32-bit CRC. */
export function crc32Tables(polynomial: number): Int32Array[] {
  const tables = Array.from({ length: 8 }, () => new Int32Array(256))
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = byte
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1
    set(tables[0], byte, crc)
  }
  for (let byte = 0; byte < 256; byte += 1) {
    for (let k = 1; k < 8; k += 1) {
      const previous = tables[k - 1]?.[byte] ?? 0
      set(tables[k], byte, (previous >>> 8) ^ (tables[0]?.[previous & 0xff] ?? 0))
    }
  }
  return tables
}

/** Low and high halves of the tables for slicing-by-8 of a reflected 64-bit CRC. */
export function crc64Tables(polynomial: bigint): { low: Int32Array[]; high: Int32Array[] } {
  const low = Array.from({ length: 8 }, () => new Int32Array(256))
  const high = Array.from({ length: 8 }, () => new Int32Array(256))
  const table: bigint[] = []
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = BigInt(byte)
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1n ? (crc >> 1n) ^ polynomial : crc >> 1n
    table.push(crc)
  }
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = table[byte] ?? 0n
    for (let k = 0; k < 8; k += 1) {
      set(low[k], byte, Number(crc & 0xffffffffn))
      set(high[k], byte, Number(crc >> 32n))
      crc = (crc >> 8n) ^ (table[Number(crc & 0xffn)] ?? 0n)
    }
  }
  return { low, high }
}

function set(table: Int32Array | undefined, index: number, value: number): void {
  if (table) table[index] = value
}
