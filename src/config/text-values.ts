import { z } from 'zod'

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** Milliseconds of a duration in Go's syntax, with days: `30s`, `1h30m`, `8760h`, `7d`; null if it isn't one. */
export function parseDuration(text: string): number | null {
  if (text === '0') return 0
  if (!/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h|d))+$/.test(text)) return null
  const parts = text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)/g)
  let total = 0
  for (const [, amount, unit = ''] of parts) total += Number(amount) * (unitMs[unit] ?? 0)
  return total
}

interface DurationBounds {
  readonly min?: number
  readonly max?: number
}

/** A duration as text; its value is in milliseconds. */
export function duration(bounds: DurationBounds = {}) {
  const { min = 1, max = 2 ** 31 - 1 } = bounds
  return z
    .string({ error: 'expected a duration such as 30s, 5m or 1h30m' })
    .transform((text, context) => {
      const ms = parseDuration(text)
      if (ms !== null && ms >= min && ms <= max) return Math.round(ms)
      context.addIssue(
        ms === null
          ? `"${text}" is no duration; write it with a unit, such as 30s, 5m or 1h30m`
          : `"${text}" is out of range: ${min}ms to ${Math.floor(max / 1000)}s`,
      )
      return z.NEVER
    })
}

export interface HostPort {
  readonly host: string
  readonly port: number
}

/** `host:port`, `[ipv6]:port` or `:port` for all addresses. */
export function listenAddress() {
  return z.string().transform((text, context): HostPort => {
    const [, bracketed, plain, port] =
      /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]\s]*)):(\d{1,5})$/.exec(text) ?? []
    if (port !== undefined && Number(port) <= 65_535) {
      return { host: bracketed ?? (plain || '0.0.0.0'), port: Number(port) }
    }
    context.addIssue(`"${text}" is no address; write host:port, such as 127.0.0.1:9000`)
    return z.NEVER
  })
}

const sizeUnits: Readonly<Record<string, number>> = {
  '': 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
}

/** A size such as `64KiB`; its value is in bytes. */
export function byteSize() {
  return z.union([z.int().positive(), z.string()]).transform((value, context) => {
    const [, amount, unit = ''] = /^(\d{1,12})\s*(KiB|MiB|GiB)?$/.exec(String(value)) ?? []
    if (amount !== undefined && Number(amount) > 0) return Number(amount) * (sizeUnits[unit] ?? 1)
    context.addIssue(`"${value}" is no size; write bytes, or a number with KiB, MiB or GiB`)
    return z.NEVER
  })
}

/** An http or https URL without path, query and credentials; they could be secrets, so not repeated. */
export function endpointUrl() {
  return z.string().superRefine((text, context) => {
    if (!URL.canParse(text)) {
      context.addIssue('is no URL')
      return
    }
    const url = new URL(text)
    if (!['http:', 'https:'].includes(url.protocol)) {
      context.addIssue('must begin with http:// or https://')
      return
    }
    if (
      url.username ||
      url.password ||
      url.search ||
      url.hash ||
      !['', '/'].includes(url.pathname)
    ) {
      context.addIssue('must be scheme, host and port alone: no path, query or credentials')
    }
  })
}
