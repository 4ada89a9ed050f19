import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { expandVariables } from '../../src/config/expand.ts'
import { changed, parse, problems } from './settings.ts'

const env = { SET: 'value', EMPTY: '', YAML: 'a: [b]\n# "', NESTED: '${SET}', DOLLAR: '$&$1' }
const numRuns = process.env['SLOW'] ? 10_000 : 200

function expanded(text: string): unknown {
  const { value, problems } = expandVariables({ key: text }, env)
  expect(problems).toEqual([])
  return (value as { key?: unknown }).key
}

describe('variables', () => {
  test.each([
    ['${SET}', 'value'],
    ['a ${SET} b ${SET}', 'a value b value'],
    ['${SET:-other}', 'value'],
    ['${UNSET:-other}', 'other'],
    ['${UNSET:-http://host:1/?a=b}', 'http://host:1/?a=b'],
    ['${EMPTY:-other}', 'other'],
    ['${UNSET:-}', ''],
    ['a${UNSET:-}b', 'ab'],
    ['${YAML}', 'a: [b]\n# "'],
    ['${DOLLAR}', '$&$1'],
    ['${NESTED}', '${SET}'],
    ['$${SET}', '${SET}'],
    ['$${', '${'],
    ['pa$$word', 'pa$$word'],
    ['$SET $ $1', '$SET $ $1'],
  ])('%s becomes %s', (text, result) => {
    expect(expanded(text)).toBe(result)
  })

  test.each(['${UNSET}', '${EMPTY}'])('%s alone is as if the key were absent', (text) => {
    const { value, unset, problems } = expandVariables({ a: { b: text, c: 1 } }, env)
    expect(value).toEqual({ a: { c: 1 } })
    expect([...unset]).toEqual([['a.b', text.slice(2, -1)]])
    expect(problems).toEqual([])
  })

  test.each([
    ['postgres://user:${UNSET}@host', /^the variable UNSET is not set$/],
    ['x${EMPTY}', /^the variable EMPTY is not set$/],
    ['${', /begins no variable/],
    ['${}', /begins no variable/],
    ['${1A}', /begins no variable/],
    ['${SET', /begins no variable/],
    ['${SET-x}', /begins no variable/],
    ['${SET:=x}', /begins no variable/],
    ['${ SET }', /begins no variable/],
    ['a${b-c}', /begins no variable/],
    ['${a.b}', /begins no variable/],
  ])('%s is a problem', (text, message) => {
    const { problems } = expandVariables({ list: [{ key: text }] }, env)
    expect(problems).toEqual([{ path: 'list.0.key', message: expect.stringMatching(message) }])
  })

  test('in keys, numbers and booleans are none of its business', () => {
    const value = { '${SET}': 1, a: true, b: [1.5, false] }
    expect(expandVariables(value, env).value).toEqual(value)
  })

  test('without any, nothing changes', () => {
    const plain = fc.string().filter((text) => !text.includes('${'))
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.oneof(plain, fc.array(plain), fc.integer())),
        (value) => {
          expect(expandVariables(value, env).value).toEqual({ ...value })
        },
      ),
      { numRuns },
    )
  })

  test('give exactly their text, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: 'grapheme' }), (text) => {
        const { value } = expandVariables({ a: '${V}', b: '<${V}>' }, { V: text })
        expect(value).toEqual({ a: text, b: `<${text}>` })
      }),
      { numRuns },
    )
  })
})

describe('in a configuration, variables', () => {
  test('are used once the file is parsed, so they bring no keys of their own', () => {
    const secret = 'x", "encryption": {"enabled": false}, "y": "'
    const settings = changed('backend.secret_access_key', '${SECRET}')
    const { config } = parse(settings, { SECRET: secret })
    expect(config.backend.secret_access_key).toBe(secret)
    expect(config.encryption.enabled).toBe(true)
  })

  test('that are needed but unset are named with their field', () => {
    expect(problems(changed('backend.secret_access_key', '${SECRET}'))).toEqual([
      'backend.secret_access_key: is needed, but the variable SECRET is not set',
    ])
    expect(
      problems(changed('credentials', [{ access_key_id: '${ID}', secret_access_key: '${KEY}' }])),
    ).toEqual([
      'credentials.0.access_key_id: is needed, but the variable ID is not set',
      'credentials.0.secret_access_key: is needed, but the variable KEY is not set',
    ])
    expect(problems(changed('encryption.kms.local.master_password', '${PASSWORD}'))).toEqual([
      'encryption.kms.local: exactly one of master_key_file and master_password is needed (not set: master_password has PASSWORD)',
    ])
    expect(problems(changed('encryption.additional_decrypt_keys', ['a', '${OLD}']))).toEqual([
      'encryption.additional_decrypt_keys.1: is needed, but the variable OLD is not set',
    ])
  })

  test('that are unset give way to the default', () => {
    expect(parse(changed('backend.region', '${REGION}')).config.backend.region).toBe('us-east-1')
  })

  test('that cannot be replaced are reported beside everything else, and once', () => {
    const settings = { ...changed('server.listen', 'host:${PORT}'), extra: 1 }
    expect(problems(settings)).toEqual([
      'server.listen: the variable PORT is not set',
      expect.stringContaining('extra: unknown key'),
    ])
  })
})
