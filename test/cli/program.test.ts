import { afterEach, describe, expect, test, vi } from 'vitest'
import { nebulaioProgram, runNebulaio } from '../../src/cli/program.ts'
import type { Serve } from '../../src/cli/start.ts'

afterEach(() => {
  vi.unstubAllEnvs()
})

/** Runs a command line up to a signal, and gives what happened. */
async function run(...args: string[]): Promise<string[]> {
  const events: string[] = []
  const serve: Serve = async (configFile) => {
    events.push(`serve ${configFile}`)
    setImmediate(() => process.emit('SIGTERM'))
    return { stop: async () => void events.push('stop') }
  }
  const program = nebulaioProgram(serve)
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({ writeErr: () => {}, writeOut: () => {} })
  }
  await program.parseAsync(args, { from: 'user' })
  return events
}

describe('the command line', () => {
  test.each([
    ['serve', '--config', 'a.yaml'],
    ['start', '--config', 'a.yaml'],
  ])('%s %s %s serves a configuration until a signal', async (...args) => {
    expect(await run(...args)).toEqual(['serve a.yaml', 'stop'])
  })

  test('start takes the configuration from the environment', async () => {
    vi.stubEnv('NEBULAIO_CONFIG', 'b.yaml')
    expect(await run('start')).toEqual(['serve b.yaml', 'stop'])
  })

  test('start prefers the option to the environment', async () => {
    vi.stubEnv('NEBULAIO_CONFIG', 'b.yaml')
    expect(await run('start', '--config', 'a.yaml')).toEqual(['serve a.yaml', 'stop'])
  })

  test.each([
    [['serve'], 'commander.missingMandatoryOptionValue'],
    [['start', '--confg', 'a.yaml'], 'commander.unknownOption'],
    [['serve', '--config', 'a.yaml', 'more'], 'commander.excessArguments'],
    [['sevre'], 'commander.unknownCommand'],
    [[], 'commander.help'],
  ])('refuses %j', async (args, code) => {
    await expect(run(...args)).rejects.toThrow(expect.objectContaining({ code }))
  })

  test('tells what went wrong, and why, on one line', async () => {
    const printed = vi.spyOn(console, 'error').mockReturnValue()
    await runNebulaio(['serve', '--config', 'a.yaml'], async () => {
      throw new Error('no proxy', { cause: new Error('no key') })
    })
    expect(printed).toHaveBeenCalledExactlyOnceWith('nebulaio: no proxy: no key')
    expect(process.exitCode).toBe(1)
    process.exitCode = undefined
    printed.mockRestore()
  })
})
