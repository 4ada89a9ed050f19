import { describe, expect, test, vi } from 'vitest'
import { ConfigError } from '../../src/config/config-error.ts'
import { readYaml } from '../../src/config/read-yaml.ts'
import { minimal, parse, problems } from './settings.ts'

describe('YAML', () => {
  test.each<[what: string, text: string, message: RegExp]>([
    [
      'a key that is there twice',
      'a: 1\nb: 2\na: 3\n',
      /^line 3, column 1: Map keys must be unique$/,
    ],
    ['a nested key that is there twice', 'a:\n  b: 1\n  b: 2\n', /^line 3, column 3: /],
    ['two documents', 'a: 1\n---\nb: 2\n', /multiple documents/],
    ['an open quote', 'a: "b\n', /Missing closing/],
    ['a tab as indentation', 'a:\n\tb: 1\n', /^line 2/],
    ['an unknown tag', 'a: !secret x\n', /^line 1, column 4: Unknown tag$/],
    ['an unknown directive', '%NEW\n---\na: 1\n', /directive/],
    ['an alias without anchor', 'a: *b\n', /has no anchor before it/],
    ['an alias inside of its anchor', 'a: &a [*a]\n', /nested too deeply/],
    ['text alone', 'hello', /expected object/],
    ['a list', '- a: 1\n', /expected object/],
  ])('refuses %s', (_, text, message) => {
    const found = problems(text)
    expect(found).toHaveLength(1)
    expect(found[0]).toMatch(message)
  })

  test('says what is missing from an empty file', () => {
    const missing = ['backend: is missing', 'credentials: is missing', 'encryption: is missing']
    for (const text of ['', '# nothing\n', '---\n', 'null', '{}']) {
      expect(problems(text)).toEqual(missing)
    }
  })

  test('refuses a placeholder of a template without quoting it anywhere', () => {
    const emitWarning = vi.spyOn(process, 'emitWarning')
    expect(problems('backend: {secret_access_key: {{ planted-5ecret }} }').join()).not.toContain(
      'planted',
    )
    expect(emitWarning.mock.calls).toEqual([])
    emitWarning.mockRestore()
  })

  test('refuses aliases that multiply', () => {
    const levels = Array.from({ length: 9 }, (_, i) => {
      const items = Array.from({ length: 9 }, () => (i === 0 ? 'x' : `*l${i - 1}`))
      return `l${i}: &l${i} [${items.join(', ')}]`
    })
    expect(() => readYaml(levels.join('\n'))).toThrow(ConfigError)
  })

  test('merges nothing behind the back: << is an unknown key', () => {
    expect(problems('x: &x {a: 1}\nbackend:\n  <<: *x\n').join('\n')).toContain(
      'backend.<<: unknown key',
    )
  })

  test('takes a few aliases, and keys without a value as absent', () => {
    const { backend, credentials, encryption } = minimal()
    const text = [
      `backend: ${JSON.stringify({ ...backend, region: '@' }).replace('"@"', '&region eu-west-1')}`,
      `credentials: ${JSON.stringify(credentials)}`,
      `encryption: ${JSON.stringify(encryption)}`,
      'server: {region: *region}',
      'admin:',
      'logging: {components: }',
    ].join('\n')
    expect(parse(text).config.server.region).toBe('eu-west-1')
  })
})
