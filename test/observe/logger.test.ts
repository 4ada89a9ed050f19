import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  createLogger,
  silentLogger,
  type LogFields,
  type LogLevel,
} from '../../src/observe/logger.ts'

const secret = 'pl4nted5ecret'
const redacted = '[redacted]'

function logging(level: LogLevel = 'info', components: Record<string, LogLevel> = {}) {
  const lines: string[] = []
  const logger = createLogger({
    level,
    components,
    destination: { write: (line: string) => void lines.push(line) },
  })
  return { lines, logger }
}

function logged(fields: LogFields, level: LogLevel = 'info'): Record<string, unknown> {
  const { lines, logger } = logging(level)
  logger('s3').info(fields, 'message')
  expect(lines).toHaveLength(1)
  return JSON.parse(lines[0] ?? '') as Record<string, unknown>
}

describe('a line', () => {
  test('is JSON with level, time, component, message and the fields', () => {
    expect(logged({ bucket: 'b', size: 5, is_cached: true, none: null })).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      component: 's3',
      msg: 'message',
      bucket: 'b',
      size: 5,
      is_cached: true,
      none: null,
    })
  })

  test('stays one line, whatever is in it', () => {
    const { lines, logger } = logging()
    logger('s3').info({ key: 'a\n{"level":"error"}\r\n\u2028' }, 'one\ntwo')
    expect(lines).toHaveLength(1)
    expect(lines[0]?.trimEnd()).not.toMatch(/[\r\n]/)
  })

  test('is written for any fields', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.anything({ withBigInt: true })), (fields) => {
        const { lines, logger } = logging('debug')
        logger('s3').error(fields, 'message')
        expect(() => JSON.parse(lines[0] ?? '') as unknown).not.toThrow()
      }),
      { numRuns: process.env['SLOW'] ? 10_000 : 300 },
    )
  })

  test('ends for cycles, depth and length', () => {
    const cycle: Record<string, unknown> = {}
    cycle['self'] = cycle
    const line = logged({ cycle, long: 'x'.repeat(100_000), list: Array(10_000).fill(1) })
    expect(JSON.stringify(line).length).toBeLessThan(2_000)
    expect(line['long']).toMatch(/^x{512}… \(100000 characters\)$/)
  })
})

describe('levels', () => {
  const written = (level: LogLevel, components: Record<string, LogLevel>, component: string) => {
    const { lines, logger } = logging(level, components)
    const log = logger(component)
    for (const name of ['debug', 'info', 'warn', 'error'] as const) log[name]({}, name)
    return lines.map((line) => (JSON.parse(line) as { level: string }).level)
  }

  test.each<[LogLevel, string[]]>([
    ['debug', ['debug', 'info', 'warn', 'error']],
    ['info', ['info', 'warn', 'error']],
    ['warn', ['warn', 'error']],
    ['error', ['error']],
  ])('%s', (level, expected) => {
    expect(written(level, {}, 'kms')).toEqual(expected)
  })

  test('of a component go before the general one, both up and down', () => {
    expect(written('warn', { kms: 'debug' }, 'kms')).toHaveLength(4)
    expect(written('debug', { kms: 'error' }, 'kms')).toEqual(['error'])
    expect(written('warn', { kms: 'debug' }, 's3')).toEqual(['warn', 'error'])
  })
})

describe('secrets', () => {
  const names = (
    'authorization Authorization proxy-authorization token x-amz-security-token VAULT_TOKEN ' +
    'secret secret_access_key secretAccessKey client_secret password master_password passphrase ' +
    'plaintext cookie set-cookie signature X-Amz-Signature privateKey credential credentials'
  ).split(' ')

  test.each(names)('%s never appears, however deep', (name) => {
    const holder = { [name]: secret }
    const cause = Object.assign(new Error('outer'), { code: holder })
    const fields = {
      ...holder,
      headers: holder,
      list: [[holder]],
      deep: { deeper: { deepest: holder } },
      [`${name}_object`]: { value: secret },
      [`${name}_list`]: [secret],
      err: new Error('failed', { cause }),
    }
    for (const level of ['debug', 'info'] as const) {
      const line = logged(fields, level)
      expect(JSON.stringify(line)).not.toContain(secret)
      expect(line[name]).toBe(redacted)
    }
  })

  test('a field with a harmless name stays', () => {
    const fields = { access_key_id: 'AKIA', bucket: 'secrets', key: 'token.txt', kek: 'local:a' }
    expect(logged(fields)).toMatchObject(fields)
  })

  test.each([
    [`postgres://user:${secret}@host/db`, `postgres://user:${redacted}@host/db`],
    [`connect to https://:${secret}@host failed`, `connect to https://:${redacted}@host failed`],
    [`/b/k?X-Amz-Signature=${secret}&x=1`, `/b/k?X-Amz-Signature=${redacted}&x=1`],
    [`/b/k?x=1&x-amz-security-token=${secret}`, `/b/k?x=1&x-amz-security-token=${redacted}`],
    [`GET "/b?Signature=${secret}"`, `GET "/b?Signature=${redacted}"`],
    [`${'p'.repeat(500)}://u:${secret}@h`, `${'p'.repeat(500)}://u:[redact… (517 characters)`],
  ])('in text are replaced: %s', (text, expected) => {
    const { lines, logger } = logging('debug')
    logger('s3').warn({ url: text, err: new Error(text) }, text)
    expect(lines[0]).not.toContain(secret)
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      url: expected,
      msg: expected,
      err: { message: expected },
    })
  })

  test('bytes are never written', () => {
    const bytes = Buffer.from(secret)
    const line = JSON.stringify(
      logged({ a: bytes, b: { c: [new Uint8Array(bytes)] }, d: new DataView(bytes.buffer) }),
    )
    for (const encoding of ['utf8', 'hex', 'base64'] as const) {
      expect(line).not.toContain(bytes.toString(encoding))
    }
    expect(line).not.toContain([...bytes].join(','))
  })

  test('objects that describe themselves are not asked to', () => {
    const line = logged({ own: { toJSON: () => secret }, map: new Map([['a', secret]]) })
    expect(JSON.stringify(line)).not.toContain(secret)
  })
})

describe('errors', () => {
  const failure = (): Error => {
    const root = Object.assign(new TypeError('connection refused'), { code: 'ECONNREFUSED' })
    return new RangeError('backend failed', { cause: root })
  }

  test('have type, message and code, with all causes', () => {
    expect(logged({ err: failure() })['err']).toEqual({
      type: 'RangeError',
      message: 'backend failed',
      cause: { type: 'TypeError', message: 'connection refused', code: 'ECONNREFUSED' },
    })
  })

  test('have their stack at level debug only, under any field name', () => {
    for (const name of ['err', 'error', 'reason']) {
      expect(JSON.stringify(logged({ [name]: failure() }))).not.toContain('logger.test.ts')
      expect(JSON.stringify(logged({ [name]: failure() }, 'debug'))).toContain('logger.test.ts')
    }
  })

  test('show nothing but these: other properties may hold requests and headers', () => {
    const error = Object.assign(new Error('failed'), { request: { body: secret }, config: secret })
    expect(JSON.stringify(logged({ err: error }))).not.toContain(secret)
  })

  test('that cause themselves end', () => {
    const error = new Error('round')
    error.cause = error
    expect(JSON.stringify(logged({ err: error })).length).toBeLessThan(1_000)
  })
})

test('the silent logger takes everything', () => {
  for (const name of ['debug', 'info', 'warn', 'error'] as const) {
    expect(silentLogger[name]({ a: 1 }, 'x')).toBeUndefined()
  }
})
