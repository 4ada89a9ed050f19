/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>

export interface Expanded {
  readonly value: unknown
  /** Dotted paths of values that are left out because their variable isn't set, with its name. */
  readonly unset: ReadonlyMap<string, string>
}

/**
 * Replaces `${VAR}` and `${VAR:-default}` in text values, after the YAML has been parsed, so that a
 * variable's content can't add anything but text. A value that is one unset variable alone counts as
 * absent; an unset variable inside a longer text becomes ''. `$${` stands for a literal `${`.
 */
export function expandVariables(raw: unknown, env: Environment): Expanded {
  const unset = new Map<string, string>()
  return { value: expand(raw, { env, path: [], unset }), unset }
}

interface Context {
  readonly env: Environment
  readonly path: readonly (string | number)[]
  readonly unset: Map<string, string>
}

function expand(value: unknown, context: Context): unknown {
  if (typeof value === 'string') return expandText(value, context)
  const at = (key: string | number): Context => ({ ...context, path: [...context.path, key] })
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

const variable = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g

function expandText(text: string, { env, path, unset }: Context): string | undefined {
  const alone = /^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$/.exec(text)?.[1]
  if (alone !== undefined && !env[alone]) {
    unset.set(path.join('.'), alone)
    return undefined
  }
  return text.replace(variable, (match, name?: string, fallback?: string) =>
    name === undefined ? match.slice(1) : env[name] || (fallback ?? ''),
  )
}
