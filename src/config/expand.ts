import { ConfigError, type ConfigProblem } from './config-error.ts'

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>

export interface Expanded {
  readonly value: unknown
  /** Dotted paths of values that are left out because their variable isn't set, with its name. */
  readonly unset: ReadonlyMap<string, string>
  /** Texts with a variable that can't be read or replaced; they are left as they were. */
  readonly problems: readonly ConfigProblem[]
}

/** Deeper than any key; an alias inside of its own anchor never ends. */
const maxDepth = 32

/**
 * Replaces `${VAR}` and `${VAR:-default}` in text values, after the YAML has been parsed, so that a
 * variable's content can't add anything but text. A value that is one unset variable alone counts as
 * absent; inside a longer text it is a problem. Set to '' is unset. `$${` stands for a literal `${`.
 */
export function expandVariables(raw: unknown, env: Environment): Expanded {
  const found = { unset: new Map<string, string>(), problems: [] }
  return { value: expand(raw, { env, path: [], ...found }), ...found }
}

interface Context {
  readonly env: Environment
  readonly path: readonly (string | number)[]
  readonly unset: Map<string, string>
  readonly problems: ConfigProblem[]
}

function expand(value: unknown, context: Context): unknown {
  if (typeof value === 'string') return expandText(value, context)
  const { path } = context
  if (path.length > maxDepth) throw new ConfigError([{ path: '', message: 'is nested too deeply' }])
  const at = (key: string | number): Context => ({ ...context, path: [...path, key] })
  if (Array.isArray(value)) {
    return value.map((item, index) => expand(item, at(index)))
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(
      ([key, item]) => [key, expand(item, at(key))] as const,
    )
    return Object.fromEntries(entries.filter(([, item]) => item !== undefined && item !== null))
  }
  return value
}

const variable = /\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})?/g

function expandText(text: string, { env, path, unset, problems }: Context): string | undefined {
  const alone = /^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$/.exec(text)?.[1]
  if (alone !== undefined && !env[alone]) {
    unset.set(path.join('.'), alone)
    return undefined
  }
  const report = (match: string, message: string): string => {
    problems.push({ path: path.join('.'), message })
    return match
  }
  return text.replace(variable, (match, name?: string, fallback?: string) => {
    if (match === '$${') return '${'
    if (name === undefined) {
      const forms = 'write ${NAME} or ${NAME:-default}, or $${ for the two characters themselves'
      return report(match, `has a \${ that begins no variable: ${forms}`)
    }
    const replacement = env[name] || fallback
    return replacement ?? report(match, `the variable ${name} is not set`)
  })
}
