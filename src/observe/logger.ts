import { pino, type DestinationStream } from 'pino'

/** Fields of a log line. Secrets never go in here; the logger redacts known names all the same. */
export type LogFields = Readonly<Record<string, unknown>>

export interface Logger {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export interface LoggerOptions {
  readonly level: LogLevel
  /** Levels of single components. */
  readonly components: Readonly<Record<string, LogLevel>>
  /** Where the lines go; standard output by default. */
  readonly destination?: DestinationStream
}

const secretName =
  /authorization|cookie|password|secret|signature|token|plaintext|private|credential|passphrase/i
const redacted = '[redacted]'
const maxTextLength = 512
const maxDepth = 6

/**
 * Makes the loggers of components, which write JSON lines. Whatever is logged is copied with secrets
 * left out by the names of their fields and by their place in URLs, and long texts cut.
 */
export function createLogger(options: LoggerOptions): (component: string) => Logger {
  const settings = {
    level: 'debug',
    base: null,
    // Errors have been described, and cleaned, before pino sees them.
    serializers: { err: (described: unknown) => described },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  const root = options.destination ? pino(settings, options.destination) : pino(settings)
  return (component) => {
    const level = options.components[component] ?? options.level
    const child = root.child({ component }, { level })
    const write =
      (name: LogLevel) =>
      (fields: LogFields, message: string): void => {
        if (child.isLevelEnabled(name)) child[name](redactFields(fields, level), cut(message))
      }
    return {
      debug: write('debug'),
      info: write('info'),
      warn: write('warn'),
      error: write('error'),
    }
  }
}

/** Says nothing. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
}

function redactFields(fields: LogFields, level: LogLevel): LogFields {
  const entries = Object.entries(fields).map(([name, value]) => [
    name,
    redact(name, value, { level, depth: 0 }),
  ])
  return Object.fromEntries(entries) as LogFields
}

function redact(name: string, value: unknown, at: { level: LogLevel; depth: number }): unknown {
  if (secretName.test(name)) return redacted
  if (typeof value === 'string') return cut(value)
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return value
  if (at.depth >= maxDepth) return '[…]'
  const deeper = { ...at, depth: at.depth + 1 }
  if (value instanceof Error) return describeError(value, deeper)
  if (Buffer.isBuffer(value) || ArrayBuffer.isView(value)) return '[bytes]'
  if (Array.isArray(value)) return value.slice(0, 100).map((item) => redact('', item, deeper))
  if ('toJSON' in value && typeof value.toJSON === 'function') return '[object]'
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, redact(key, item, deeper)]),
  )
}

function describeError(error: Error, at: { level: LogLevel; depth: number }): object {
  const code = 'code' in error ? { code: redact('code', error.code, at) } : {}
  const cause = error.cause === undefined ? {} : { cause: redact('cause', error.cause, at) }
  const stack = at.level === 'debug' ? { stack: cut(error.stack ?? '', 4096) } : {}
  return { type: error.name, message: cut(error.message), ...code, ...stack, ...cause }
}

/** Both begin at fixed text and never scan a stretch twice: what is logged may come from clients. */
const urlPassword = /(:\/\/[^\s/@:]*:)[^\s/@]+(?=@)/g
const queryProof = /([?&](?:x-amz-signature|x-amz-security-token|signature)=)[^&\s"']+/gi

/** Cleaned before it is cut, so that a cut can't hide what makes a secret recognisable. */
function cut(text: string, length = maxTextLength): string {
  const clean = text.replace(urlPassword, `$1${redacted}`).replace(queryProof, `$1${redacted}`)
  return clean.length <= length ? clean : `${clean.slice(0, length)}… (${clean.length} characters)`
}
