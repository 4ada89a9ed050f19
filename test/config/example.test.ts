import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { loadConfig, parseConfig } from '../../src/config/load.ts'
import { configSchema } from '../../src/config/schema.ts'

const file = new URL('../../config.example.yaml', import.meta.url).pathname
const env = {
  BACKEND_ACCESS_KEY_ID: 'backend',
  BACKEND_SECRET_ACCESS_KEY: 'backend-secret',
  CLIENT_ACCESS_KEY_ID: 'client',
  CLIENT_SECRET_ACCESS_KEY: 'client-secret',
}

const text = readFileSync(file, 'utf8')

/** The example with the settings that are commented out. */
const everything: unknown = parse(text.replace(/^(\s*)# (?=\s*(?:- )?[a-z0-9_]+:)/gm, '$1'))

interface SchemaParts {
  readonly shape?: Readonly<Record<string, unknown>>
  readonly element?: unknown
  readonly innerType?: unknown
  readonly in?: unknown
  readonly defaultValue?: unknown
}

interface SchemaKey {
  readonly path: string
  /** True if it holds other keys or a list. */
  readonly isGroup: boolean
  readonly defaultValue: unknown
}

function partsOf(schema: unknown): SchemaParts {
  return (schema as { def?: SchemaParts } | undefined)?.def ?? {}
}

/** Every key below a schema by its path, with `0` for the items of a list. */
function keysOf(schema: unknown, path: string, outerDefault?: unknown): SchemaKey[] {
  const { shape, element, innerType, in: input, defaultValue = outerDefault } = partsOf(schema)
  const inner = innerType ?? input
  if (inner !== undefined) return keysOf(inner, path, defaultValue)
  const isGroup = shape !== undefined || element !== undefined
  const items = partsOf(element).shape === undefined ? [] : keysOf(element, `${path}.0`)
  const members = Object.entries(shape ?? {}).flatMap(([name, member]) =>
    keysOf(member, path === '' ? name : `${path}.${name}`),
  )
  return [...(path === '' ? [] : [{ path, isGroup, defaultValue }]), ...items, ...members]
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

function valueAt(path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((value, key) => (isObject(value) ? value[key] : undefined), everything)
}

const keys = keysOf(configSchema, '')
/** Those whose default isn't one text or number that the example could state. */
const withoutStatedDefault = ['server.workers', 'logging.components']

test('the example configuration is valid as it stands', () => {
  const { config, warnings } = loadConfig(file, env)
  expect(config.backend.endpoint).toBe('https://s3.example.com')
  expect(warnings).toEqual([])
})

test('the example names every key that there is, in its place', () => {
  expect(keys.length).toBeGreaterThan(70)
  const absent = keys.filter(({ path }) => valueAt(path) === undefined)
  expect(absent.map(({ path }) => path)).toEqual([])
})

test('the example states the real defaults', () => {
  const defaults = keys.filter(
    ({ path, isGroup, defaultValue }) =>
      !isGroup && defaultValue !== undefined && !withoutStatedDefault.includes(path),
  )
  expect(defaults.length).toBeGreaterThan(25)
  expect(defaults.map(({ path }) => [path, valueAt(path)])).toEqual(
    defaults.map(({ path, defaultValue }) => [path, defaultValue]),
  )
})

test('the example has no key that does not exist', () => {
  const complete = structuredClone(everything) as {
    encryption: { kms: { local: { master_password?: string } } }
  }
  // It is either this or the file.
  delete complete.encryption.kms.local.master_password
  const options = { env, baseDir: '/etc/nebulaio' }
  expect(() => parseConfig(JSON.stringify(complete), options)).not.toThrow()
})

test('without its variables the example says which ones are missing, all at once', () => {
  expect(() => loadConfig(file, {})).toThrow(
    /backend\.access_key_id: is needed, but the variable BACKEND_ACCESS_KEY_ID is not set\n(.*\n)*.*CLIENT_SECRET_ACCESS_KEY/,
  )
})
