import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { configSchema } from '../../src/config/schema.ts'

const file = new URL('../../config.example.yaml', import.meta.url).pathname
const env = {
  BACKEND_ACCESS_KEY_ID: 'backend',
  BACKEND_SECRET_ACCESS_KEY: 'backend-secret',
  CLIENT_ACCESS_KEY_ID: 'client',
  CLIENT_SECRET_ACCESS_KEY: 'client-secret',
}

interface SchemaParts {
  readonly shape?: Record<string, unknown>
  readonly element?: unknown
  readonly innerType?: unknown
  readonly in?: unknown
}

/** The names of all keys below a schema. */
function keysOf(schema: unknown): string[] {
  const { shape, element, innerType, in: input } = (schema as { def?: SchemaParts }).def ?? {}
  const inner = [innerType, element, input].filter((part) => part !== undefined)
  const own = Object.entries(shape ?? {}).flatMap(([name, part]) => [name, ...keysOf(part)])
  return [...own, ...inner.flatMap(keysOf)]
}

test('the example configuration is valid as it stands', () => {
  const { config, warnings } = loadConfig(file, env)
  expect(config.backend.endpoint).toBe('https://s3.example.com')
  expect(warnings).toEqual([])
})

test('the example names every key that there is', () => {
  const names = [...new Set(keysOf(configSchema))]
  const text = readFileSync(file, 'utf8')
  expect(names.length).toBeGreaterThan(50)
  expect(names.filter((name) => !new RegExp(`^[\\s#-]*${name}:`, 'm').test(text))).toEqual([])
})

test('the commented defaults of the example are the real ones', () => {
  const { config } = loadConfig(file, env)
  expect(config.server).toMatchObject({
    listen: { host: '127.0.0.1', port: 9000 },
    region: 'us-east-1',
    limits: { max_header_size: 32_768, max_connections: 10_000, max_requests_in_flight: 2000 },
  })
  expect(config.server.limits).toMatchObject({
    header_timeout: 30_000,
    body_idle_timeout: 60_000,
    shutdown_grace: 30_000,
  })
  expect(config.backend).toMatchObject({
    region: 'us-east-1',
    addressing: 'path',
    payload: 'signed-chunks',
    timeouts: { connect: 10_000, response: 600_000, idle: 60_000 },
    retries: 3,
    max_connections: 1000,
  })
  expect(config.encryption.envelope).toMatchObject({
    dek_algorithm: 'AES_256_GCM',
    dek_cache_ttl: 300_000,
    dek_cache_max_size: 10_000,
    intermediate_key: { max_objects: 1000, max_age: 300_000 },
  })
  expect(config.encryption.kms.local.key_name).toBe('nebulaio-master')
  expect(config.admin.listen).toEqual({ host: '127.0.0.1', port: 9001 })
  expect(config.logging.level).toBe('info')
})

test('without its variables the example says which ones are missing, all at once', () => {
  expect(() => loadConfig(file, {})).toThrow(
    /backend\.access_key_id: is needed, but the variable BACKEND_ACCESS_KEY_ID is not set\n(.*\n)*.*CLIENT_SECRET_ACCESS_KEY/,
  )
})
