import { LineCounter, parseDocument } from 'yaml'
import { ConfigError } from './config-error.ts'

/** How often aliases may repeat content; a few are handy, thousands are an attack on memory. */
const maxAliases = 100

/**
 * The plain values of one YAML document. Throws ConfigError with line and column, but never with
 * text of the file, which may be a secret.
 */
export function readYaml(text: string): unknown {
  const lineCounter = new LineCounter()
  const document = parseDocument(text, {
    uniqueKeys: true,
    merge: false,
    prettyErrors: false,
    // Its warnings of its own accord, on standard error, quote the file.
    logLevel: 'error',
    lineCounter,
  })
  // A warning means that the parser went on with a guess.
  const faults = [...document.errors, ...document.warnings]
  if (faults.length > 0) {
    throw new ConfigError(
      faults.map(({ code, message, pos }) => {
        const { line, col } = lineCounter.linePos(pos[0])
        const said = code === 'TAG_RESOLVE_FAILED' ? 'Unknown tag' : message
        return { path: '', message: `line ${line}, column ${col}: ${said}` }
      }),
    )
  }
  try {
    return document.toJS({ maxAliasCount: maxAliases })
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error
    const message = `an alias (*name) has no anchor before it, or aliases repeat too much; quote text that begins with *`
    throw new ConfigError([{ path: '', message }])
  }
}
