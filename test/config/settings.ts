import { parseConfig } from '../../src/config/load.ts'
import { ConfigError } from '../../src/config/config-error.ts'
import type { Environment } from '../../src/config/expand.ts'

/** The least that a configuration needs, to be changed by tests. */
export function minimal() {
  return {
    backend: {
      endpoint: 'http://127.0.0.1:8333',
      access_key_id: 'backend-id',
      secret_access_key: 'backend-secret',
    },
    credentials: [{ access_key_id: 'client-id', secret_access_key: 'client-secret' }],
    encryption: {
      enabled: true,
      kms: { provider: 'local', local: { master_password: 'a long enough password' } },
    },
  }
}

/** Parses settings, or the text of a file. */
export function parse(settings: unknown, env: Environment = {}) {
  const text = typeof settings === 'string' ? settings : JSON.stringify(settings)
  return parseConfig(text, { env, baseDir: '/base' })
}

/** The problems of settings, as `path: message`; empty if there are none. */
export function problems(settings: unknown, env: Environment = {}): string[] {
  try {
    parse(settings, env)
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.message.split('\n')
  }
}

/** The minimal settings with one value changed; undefined takes it away. */
export function changed(path: string, value: unknown): Record<string, unknown> {
  const settings: Record<string, unknown> = structuredClone(minimal())
  const steps = path.split('.')
  let at = settings
  for (const step of steps.slice(0, -1)) {
    at[step] ??= {}
    at = at[step] as Record<string, unknown>
  }
  at[steps.at(-1) ?? ''] = value
  return settings
}
