import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { z } from 'zod'
import { withAbsolutePaths } from './absolute-paths.ts'
import { ConfigError, type ConfigProblem } from './config-error.ts'
import { expandVariables, type Environment } from './expand.ts'
import { readYaml } from './read-yaml.ts'
import { configSchema, unavailableKeys, type Config } from './schema.ts'
import { suggestion } from './suggestion.ts'
import { findWarnings } from './warnings.ts'

export interface LoadedConfig {
  readonly config: Config
  readonly warnings: readonly ConfigProblem[]
}

/** Reads and validates a configuration file. Throws ConfigError. */
export function loadConfig(file: string, env: Environment): LoadedConfig {
  let text
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new ConfigError([{ path: '', message: `configuration can't be read: ${reason}` }])
  }
  return parseConfig(text, { env, baseDir: dirname(resolve(file)) })
}

/** Validates the text of a configuration; relative paths count from `baseDir`. Throws ConfigError. */
export function parseConfig(
  text: string,
  options: { readonly env: Environment; readonly baseDir: string },
): LoadedConfig {
  const { value, unset, problems } = expandVariables(readYaml(text), options.env)
  const parsed = configSchema.safeParse(value ?? {})
  if (parsed.success && problems.length === 0) {
    const config = withAbsolutePaths(parsed.data, options.baseDir)
    return { config, warnings: findWarnings(config) }
  }
  const found = (parsed.error?.issues ?? []).flatMap((issue) => describe(issue, unset))
  // What an unreplaced variable does to its value says nothing new.
  const isNew = ({ path }: ConfigProblem) => problems.every((problem) => problem.path !== path)
  throw new ConfigError([...problems, ...found.filter(isNew)])
}

function describe(issue: z.core.$ZodIssue, unset: ReadonlyMap<string, string>): ConfigProblem[] {
  const path = issue.path.join('.')
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const full = path === '' ? key : `${path}.${key}`
      const message = unavailableKeys.get(full) ?? `unknown key${suggestion(key, issue.path)}`
      return { path: full, message }
    })
  }
  const variable = unset.get(path)
  if (variable !== undefined) {
    return [{ path, message: `is needed, but the variable ${variable} is not set` }]
  }
  const isMissing = issue.code === 'invalid_type' && issue.message.endsWith('received undefined')
  const message = isMissing ? 'is missing' : issue.message
  return [{ path, message: message + (issue.code === 'custom' ? absentBelow(path, unset) : '') }]
}

/** Names the unset variables of a block whose rule is broken: its missing key may be one of them. */
function absentBelow(path: string, unset: ReadonlyMap<string, string>): string {
  const absent = [...unset].filter(([at]) => at.startsWith(`${path}.`))
  if (absent.length === 0) return ''
  const names = absent.map(([at, name]) => `${at.slice(path.length + 1)} has ${name}`)
  return ` (not set: ${names.join(', ')})`
}
