import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  commandFolder,
  commandSettings,
  plantedSecret,
  type CommandFolder,
} from '../support/command-folder.ts'

let cli: CommandFolder
beforeEach(async () => {
  cli = await commandFolder()
})
afterEach(() => cli.remove())

describe('check-config', () => {
  test('says ok, and nothing else, of a good file', async () => {
    const file = await cli.configFile(commandSettings())
    expect(await cli.run('check-config', file)).toEqual({ code: 0, out: 'ok\n', err: '' })
  })

  test('shows warnings before it says ok', async () => {
    const file = await cli.configFile(
      commandSettings({ logging: { components: { disk: 'info' } } }),
    )
    const { code, out, err } = await cli.run('check-config', file)
    expect(out).toMatch(/^warning: logging\.components\.disk: unknown component .*\nok\n$/)
    expect([code, err]).toEqual([0, ''])
  })

  test('shows all problems on standard error, without values of secrets and without stacks', async () => {
    const backend = { endpoint: 'nowhere', secret_access_key: [plantedSecret], acces_key_id: 'x' }
    const file = await cli.configFile(
      commandSettings({ backend, state: { url: '${STATE_URL}/x' } }),
    )
    const { code, out, err } = await cli.run('check-config', file)
    expect([code, out]).toEqual([1, ''])
    expect(err.trimEnd().split('\n').toSorted()).toEqual([
      'nebulaio: error: backend.acces_key_id: unknown key (did you mean "access_key_id"?)',
      'nebulaio: error: backend.access_key_id: is missing',
      'nebulaio: error: backend.endpoint: is no URL',
      'nebulaio: error: backend.secret_access_key: Invalid input: expected string, received array',
      'nebulaio: error: state.url: the variable STATE_URL is not set',
      'nebulaio: hint: config.example.yaml documents every key',
    ])
  })

  test('fails for a file that is not there or no YAML', async () => {
    const absent = await cli.run('check-config', 'absent.yaml')
    expect(absent.code).toBe(1)
    expect(absent.err).toMatch(/^nebulaio: error: configuration can't be read: ENOENT/)
    const broken = await cli.run('check-config', await cli.configFile('a: [\n'))
    expect(broken.code).toBe(1)
    expect(broken.err).toMatch(/^nebulaio: error: line 2, column 1: /)
  })
})

describe('wrong usage ends with 2', () => {
  test.each([
    ['no command', []],
    ['an unknown command', ['sreve']],
    ['an unknown option', ['serve', '--confg', 'x']],
    ['serve without a configuration', ['serve']],
    ['check-config without a file', ['check-config']],
    ['check-config with two files', ['check-config', 'a', 'b']],
    ['keys without a command', ['keys']],
    ['keys rotate without a name', ['keys', 'rotate', '--config', 'x']],
  ])('%s', async (_, args) => {
    const { code, out, err } = await cli.run(...args)
    expect([code, out]).toEqual([2, ''])
    expect(err).not.toBe('')
  })

  test('but help, when asked for, with 0', async () => {
    const { code, out, err } = await cli.run('--help')
    expect([code, err]).toEqual([0, ''])
    for (const name of ['serve', 'check-config', 'start', 'keys']) expect(out).toContain(name)
  })
})

describe('serve', () => {
  test('ends with 1 before anything is opened if the configuration is wrong', async () => {
    const { code, out, err } = await cli.run(
      'serve',
      '--config',
      await cli.configFile(commandSettings({ x: 1 })),
    )
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(/^nebulaio: error: x: unknown key/)
    await expect(rm(join(cli.folder, 'state'))).rejects.toThrow('ENOENT')
    await expect(rm(join(cli.folder, 'keys'))).rejects.toThrow('ENOENT')
  })
})

describe('keys', () => {
  test('are made and rotated; a key that is there or not there is an error', async () => {
    const keys = ['--config', await cli.configFile(commandSettings())]
    const texts = []
    for (const [action, name] of [
      ['create', 'pii-key'],
      ['rotate', 'pii-key'],
      ['create', 'pii-key'],
      ['rotate', 'absent'],
    ] as const) {
      const { code, out, err } = await cli.run('keys', action, ...keys, name)
      texts.push([code, out + err])
    }
    expect(texts).toEqual([
      [0, 'local:pii-key is at version 1\n'],
      [0, 'local:pii-key is at version 2\n'],
      [1, expect.stringMatching(/^nebulaio: error: .*pii-key.*\n$/)],
      [1, expect.stringMatching(/^nebulaio: error: key not found: absent\n$/)],
    ])
  }, 60_000)
})
