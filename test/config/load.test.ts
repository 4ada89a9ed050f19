import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { ConfigError } from '../../src/config/config-error.ts'
import { loadConfig } from '../../src/config/load.ts'
import { changed, minimal, parse, problems } from './settings.ts'

describe('a minimal configuration', () => {
  test('is completed by defaults that are safe', () => {
    const { config } = parse(minimal())
    expect(config.server.listen).toEqual({ host: '127.0.0.1', port: 9000 })
    expect(config.admin.listen).toEqual({ host: '127.0.0.1', port: 9001 })
    expect(config.server.workers).toBe(availableParallelism())
    expect(config.backend.payload).toBe('signed-chunks')
    expect(config.encryption.envelope).toEqual({
      enabled: true,
      dek_algorithm: 'AES_256_GCM',
      dek_cache_ttl: 300_000,
      dek_cache_max_size: 10_000,
      intermediate_key: { max_objects: 1_000, max_age: 300_000 },
    })
  })

  test.each([
    'backend',
    'credentials',
    'encryption',
    'backend.endpoint',
    'encryption.kms.provider',
  ])('is refused without %s', (path) => {
    expect(problems(changed(path, undefined))).toEqual([`${path}: is missing`])
  })

  test('is refused if encryption is not asked for', () => {
    const message =
      'encryption.enabled: must be true: serving buckets without encryption is not available in this version'
    for (const value of [undefined, false, 'true', 1]) {
      expect(problems(changed('encryption.enabled', value))).toEqual([message])
    }
  })
})

describe('wrong values', () => {
  test.each<[path: string, value: unknown, message: RegExp]>([
    ['server.listen', '9000', /is no address/],
    ['server.listen', 'host:70000', /is no address/],
    ['server.listen', '::1:9000', /is no address/],
    ['server.workers', -1, />=0/],
    ['server.workers', 1.5, /expected int/],
    ['server.workers', 'two', /expected number/],
    ['server.tls', { cert_file: 'a.crt' }, /^server\.tls\.key_file: is missing$/],
    ['server.limits.max_header_size', '64 KB', /is no size/],
    ['server.limits.max_header_size', 0, /^server\.limits\.max_header_size: /],
    ['server.limits.max_connections', 0, />0/],
    ['server.limits.header_timeout', 30, /expected a duration such as 30s/],
    ['server.limits.header_timeout', '30', /write it with a unit/],
    ['server.limits.header_timeout', '-5s', /is no duration/],
    ['server.limits.header_timeout', '0', /out of range/],
    ['server.limits.header_timeout', '8760h', /out of range/],
    ['admin.tokens', [{ name: 'ops', sha256: 'token' }], /SHA-256 of the token in hex/],
    ['backend.endpoint', 'localhost:8333', /must begin with http/],
    ['backend.endpoint', 'ftp://host', /must begin with http/],
    ['backend.endpoint', 'http://host/path', /no path, query or credentials/],
    ['backend.endpoint', 'http://host?x=1', /no path, query or credentials/],
    ['backend.addressing', 'dns', /expected one of "path"\|"virtual"/],
    ['backend.payload', 'signed', /expected one of "signed-chunks"\|"unsigned"/],
    ['backend.tls', { cert_file: 'a' }, /cert_file and key_file belong together/],
    ['backend.retries', 11, /<=10/],
    ['backend.timeouts.connect', true, /expected a duration/],
    ['credentials', [], /at least one credential/],
    ['credentials', [{ access_key_id: 'id', secret_access_key: 'short' }], /at least 8/],
    ['state.url', 'mysql://host/db', /must be file:<folder> or postgres/],
    ['state.url', 'file:', /must be file:<folder> or postgres/],
    ['encryption.kms.local', {}, /exactly one of master_key_file and master_password/],
    [
      'encryption.kms.local',
      { master_key_file: 'k', master_password: 'a long enough password' },
      /exactly one of master_key_file and master_password/,
    ],
    ['encryption.kms.local.master_password', 'short', /at least 12/],
    ['encryption.kms.local.master_password', 123456789012, /expected string, received number$/],
    ['encryption.kms.local.key_name', '../up', /is no name of a key/],
    ['encryption.envelope.enabled', false, /must be true: objects are always encrypted/],
    [
      'encryption.envelope.dek_algorithm',
      'AES_256_CBC',
      /unknown algorithm "AES_256_CBC" \(AES_256_GCM\)/,
    ],
    ['encryption.envelope.dek_cache_ttl', '25h', /out of range/],
    ['encryption.envelope.dek_cache_max_size', -1, />=0/],
    ['encryption.envelope.intermediate_key.max_objects', 0, />0/],
    ['encryption.bucket_keys', [{ bucket: 'a/b', key_id: 'k' }], /is no bucket name/],
    [
      'encryption.bucket_keys',
      [{ bucket: 'abc' }],
      /^encryption\.bucket_keys\.0\.key_id: is missing$/,
    ],
    ['logging.level', 'trace', /expected one of "debug"/],
    ['logging.components', { kms: 'loud' }, /^logging\.components\.kms: /],
  ])('%s: %j', (path, value, message) => {
    const found = problems(changed(path, value))
    expect(found).toHaveLength(1)
    expect(found[0]).toMatch(message)
    expect(found[0]?.startsWith(path)).toBe(true)
  })

  test('are all reported at once, with their paths', () => {
    const settings = {
      ...minimal(),
      server: { listen: 'x', wrokers: 2 },
      credentials: [
        { access_key_id: 'twice', secret_access_key: 'long enough' },
        { access_key_id: 'twice', secret_access_key: 'short' },
      ],
      encryption: {
        enabled: true,
        kms: { provider: 'local', local: { key_store: './keys' } },
        bucket_keys: [
          { bucket: 'same', key_id: 'a' },
          { bucket: 'same', key_id: 'mars:b', algorithm: 'DES' },
        ],
      },
    }
    expect(problems(settings).toSorted()).toEqual([
      'credentials.1.access_key_id: "twice" is there twice',
      'credentials.1.secret_access_key: must have at least 8 characters',
      'encryption.bucket_keys.1.algorithm: unknown algorithm "DES" (AES_256_GCM)',
      'encryption.bucket_keys.1.bucket: "same" is there twice',
      'encryption.bucket_keys.1.key_id: unknown provider "mars" (vault, aws, azure, gcp, local)',
      'encryption.kms.local.key_store: unknown key (did you mean "key_store_path"?)',
      'encryption.kms.local: exactly one of master_key_file and master_password is needed',
      'server.listen: "x" is no address; write host:port, such as 127.0.0.1:9000',
      'server.wrokers: unknown key (did you mean "workers"?)',
    ])
  })

  test('of a wrong type never reach a check that would crash on them', () => {
    for (const value of [null, 1, 'text', [], [null], [[]], { a: 1 }]) {
      for (const path of ['credentials', 'backend', 'encryption', 'encryption.kms', 'server']) {
        expect(Array.isArray(problems(changed(path, value)))).toBe(true)
      }
    }
  })

  test('are never repeated where they may be secret', () => {
    const secret = 'planted-5ecret'
    const texts = [
      problems(changed('backend.endpoint', `http://user:${secret}@host`)),
      problems(changed('backend.endpoint', `http://:${secret}@host`)),
      problems(changed('backend.endpoint', `http://user:${secret}@`)),
      problems(changed('backend.secret_access_key', { value: secret })),
      problems(changed('state.url', `mysql://user:${secret}@host`)),
      problems(changed('encryption.kms.local.master_password', `\${${secret}`)),
      problems(`backend: {secret_access_key: *${secret}}`),
      problems(`backend: {secret_access_key: !${secret} x}`),
      problems(`secret_access_key: ${secret}: x`),
      problems(`secret_access_key: @${secret}`),
      problems(`secret_access_key: "${secret}\n`),
    ]
    for (const found of texts) expect(found.length).toBeGreaterThan(0)
    expect(texts.flat().join('\n')).not.toContain(secret)
  })
})

describe('unknown keys', () => {
  test.each([
    ['servre', /^servre: unknown key \(did you mean "server"\?\)$/],
    ['backend.endpiont', /^backend\.endpiont: unknown key \(did you mean "endpoint"\?\)$/],
    ['server.limits.body_idle_timeot', /did you mean "body_idle_timeout"/],
    ['encryption.kms.local.keystore_path', /did you mean "key_store_path"/],
    ['backend.tls.ca', /did you mean "ca_file"/],
    ['state.something_else', /\(known: url\)$/],
  ])('%s', (path, message) => {
    expect(problems(changed(path, 1))).toEqual([expect.stringMatching(message)])
  })

  test('inside of lists are named with their index', () => {
    const credential = { access_key_id: 'id', secret_acces_key: 'x', secret_access_key: '12345678' }
    expect(problems(changed('credentials', [credential]))).toEqual([
      'credentials.0.secret_acces_key: unknown key (did you mean "secret_access_key"?)',
    ])
  })

  test('that JavaScript objects inherit are unknown, too', () => {
    for (const key of ['__proto__', 'constructor', 'toString']) {
      expect(problems(JSON.stringify(minimal()).replace(/\}$/, `,"${key}":{"a":1}}`))).toEqual([
        expect.stringContaining(`${key}: unknown key`),
      ])
    }
  })
})

describe('files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'nebulaio-config-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  test('are the base of the relative paths in them', () => {
    const settings = changed('server.tls', { cert_file: 'tls/a.crt', key_file: '/etc/a.key' })
    settings['state'] = { url: 'file:./state' }
    settings['encryption'] = {
      enabled: true,
      kms: { provider: 'local', local: { key_store_path: '../keys', master_key_file: 'm.key' } },
    }
    writeFileSync(join(folder, 'config.yaml'), JSON.stringify(settings))
    const { config } = loadConfig(join(folder, 'config.yaml'), {})
    expect(config.server.tls).toEqual({
      cert_file: join(folder, 'tls/a.crt'),
      key_file: '/etc/a.key',
    })
    expect(config.state.url).toBe(`file:${join(folder, 'state')}`)
    expect(config.encryption.kms.local.key_store_path).toBe(join(folder, '../keys'))
    expect(config.encryption.kms.local.master_key_file).toBe(join(folder, 'm.key'))
  })

  test('that are absent, or no files, are a configuration error', () => {
    for (const file of [join(folder, 'absent.yaml'), folder]) {
      expect(() => loadConfig(file, {})).toThrow(ConfigError)
      expect(() => loadConfig(file, {})).toThrow(/configuration can't be read/)
    }
  })

  test('keep the URL of a database as it is', () => {
    const url = 'postgres://user@host:5432/nebulaio?sslmode=require'
    expect(parse(changed('state.url', url)).config.state.url).toBe(url)
  })
})

describe('warnings', () => {
  const paths = (settings: unknown) => parse(settings).warnings.map(({ path }) => path)
  const endpointWith = (endpoint: string, payload: string) => {
    const settings = changed('backend.endpoint', endpoint)
    Object.assign(settings['backend'] as object, { payload })
    return settings
  }

  test.each([
    ['http://storage.example', 'unsigned', ['backend.payload']],
    ['http://127.example.com', 'unsigned', ['backend.payload']],
    ['http://10.0.0.1:9000', 'unsigned', ['backend.payload']],
    ['http://storage.example', 'signed-chunks', []],
    ['https://storage.example', 'unsigned', []],
    ['http://127.0.0.2:9000', 'unsigned', []],
    ['http://[::1]:9000', 'unsigned', []],
    ['http://localhost', 'unsigned', []],
  ])('%s with %s payload', (endpoint, payload, expected) => {
    expect(paths(endpointWith(endpoint, payload))).toEqual(expected)
  })

  test('for clients without TLS, keys that outlive their withdrawal, unknown components', () => {
    expect(paths(changed('server.listen', ':9000'))).toEqual(['server.tls'])
    expect(paths(changed('encryption.envelope.dek_cache_ttl', '1h'))).toEqual([])
    expect(paths(changed('encryption.envelope.dek_cache_ttl', '2h'))).toEqual([
      'encryption.envelope.dek_cache_ttl',
    ])
    expect(paths(changed('logging.components', { kms: 'debug', disk: 'info' }))).toEqual([
      'logging.components.disk',
    ])
  })
})
