import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parseDocument } from 'yaml'
import type { z } from 'zod'
import { expandVariables, type Environment } from './expand.ts'
import { configSchema, type Config } from './schema.ts'
import { suggestion } from './suggestion.ts'

export interface ConfigProblem {
  /** Dotted, such as `encryption.kms.provider`; '' for the file as a whole. */
  readonly path: string
  readonly message: string
}

/** Everything that is wrong with a configuration, at once. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly ConfigProblem[]

  constructor(problems: readonly ConfigProblem[]) {
    super(
      problems
        .map(({ path, message }) => (path === '' ? message : `${path}: ${message}`))
        .join('\n'),
    )
    this.problems = problems
  }
}

export interface LoadedConfig {
  readonly config: Config
  readonly warnings: readonly ConfigProblem[]
}

const knownComponents = ['kms', 'encryption', 'backend', 's3', 'state', 'admin', 'server']

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
  const document = parseDocument(text, { uniqueKeys: true, merge: false })
  if (document.errors.length > 0) {
    throw new ConfigError(document.errors.map(({ message }) => ({ path: '', message })))
  }
  const raw: unknown = document.toJS({ maxAliasCount: 100 })
  const { value, unset } = expandVariables(raw, options.env)
  const parsed = configSchema.safeParse(value ?? {})
  const problems = parsed.success
    ? []
    : parsed.error.issues.flatMap((issue) => describe(issue, unset))
  if (!parsed.success) throw new ConfigError(problems)
  const config = withAbsolutePaths(parsed.data, options.baseDir)
  const conflicts = findConflicts(config)
  if (conflicts.length > 0) throw new ConfigError(conflicts)
  return { config, warnings: findWarnings(config) }
}

function describe(issue: z.core.$ZodIssue, unset: ReadonlyMap<string, string>): ConfigProblem[] {
  const path = issue.path.join('.')
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: path === '' ? key : `${path}.${key}`,
      message: `unknown key${suggestion(key, issue.path)}`,
    }))
  }
  const variable = unset.get(path)
  if (variable !== undefined) {
    return [{ path, message: `is needed, but the variable ${variable} is not set` }]
  }
  const isMissing = issue.code === 'invalid_type' && issue.message.endsWith('received undefined')
  return [{ path, message: isMissing ? 'is missing' : issue.message }]
}

function withAbsolutePaths(config: Config, baseDir: string): Config {
  const absolute = (path: string): string => resolve(baseDir, path)
  const { server, backend, encryption, state } = config
  const { local } = encryption.kms
  const { ca_file, cert_file, key_file } = backend.tls
  const { tls: serverTls, ...plainServer } = server
  const { master_key_file, ...plainLocal } = local
  return {
    ...config,
    server: {
      ...plainServer,
      ...(serverTls && {
        tls: { cert_file: absolute(serverTls.cert_file), key_file: absolute(serverTls.key_file) },
      }),
    },
    backend: {
      ...backend,
      tls: {
        ...(ca_file !== undefined && { ca_file: absolute(ca_file) }),
        ...(cert_file !== undefined && { cert_file: absolute(cert_file) }),
        ...(key_file !== undefined && { key_file: absolute(key_file) }),
      },
    },
    state: {
      url: state.url.startsWith('file:')
        ? `file:${absolute(state.url.slice('file:'.length))}`
        : state.url,
    },
    encryption: {
      ...encryption,
      kms: {
        ...encryption.kms,
        local: {
          ...plainLocal,
          key_store_path: absolute(local.key_store_path),
          ...(master_key_file !== undefined && { master_key_file: absolute(master_key_file) }),
        },
      },
    },
  }
}

/** Rules between keys that the schema can't state. */
function findConflicts(config: Config): ConfigProblem[] {
  const problems: ConfigProblem[] = []
  const repeated = (
    names: readonly string[],
    report: (name: string, index: number) => void,
  ): void => {
    for (const [index, name] of names.entries())
      if (names.indexOf(name) < index) report(name, index)
  }
  repeated(
    config.credentials.map((credential) => credential.access_key_id),
    (name, index) => {
      problems.push({
        path: `credentials.${index}.access_key_id`,
        message: `"${name}" is there twice`,
      })
    },
  )
  repeated(
    config.encryption.bucket_keys.map(({ bucket }) => bucket),
    (name, index) => {
      problems.push({
        path: `encryption.bucket_keys.${index}.bucket`,
        message: `"${name}" is there twice`,
      })
    },
  )
  return problems
}

function findWarnings(config: Config): ConfigProblem[] {
  const warnings: ConfigProblem[] = []
  const { backend, server, encryption, logging } = config
  const url = new URL(backend.endpoint)
  if (url.protocol === 'http:' && !isLoopback(url.hostname) && backend.payload === 'unsigned') {
    warnings.push({
      path: 'backend.payload',
      message:
        'uploads over plain HTTP with unsigned payloads can be changed on the way unnoticed until they are read',
    })
  }
  if (!server.tls && !isLoopback(server.listen.host)) {
    warnings.push({
      path: 'server.tls',
      message: 'clients reach the proxy without TLS: what they send can be read on the way',
    })
  }
  if (encryption.envelope.dek_cache_ttl > 3_600_000) {
    warnings.push({
      path: 'encryption.envelope.dek_cache_ttl',
      message: 'keys stay usable for more than an hour after the KMS has withdrawn them',
    })
  }
  for (const name of Object.keys(logging.components)) {
    if (!knownComponents.includes(name)) {
      warnings.push({
        path: `logging.components.${name}`,
        message: `unknown component (${knownComponents.join(', ')})`,
      })
    }
  }
  return warnings
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || host.startsWith('127.')
}
