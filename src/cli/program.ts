import { Command } from 'commander'
import { endSignal, runDemo } from './start.ts'
import type { Serve, StartOptions } from './start.ts'

/** Runs a command line; what goes wrong is told on stderr, with exit code 1. */
export async function runNebulaio(args: readonly string[], serve: Serve): Promise<void> {
  try {
    await nebulaioProgram(serve).parseAsync(args, { from: 'user' })
  } catch (error) {
    console.error(`nebulaio: ${explain(error)}`)
    process.exitCode = 1
  }
}

function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message}: ${explain(error.cause)}`
}

/**
 * The command line of `nebulaio`. A command resolves after the end of its work, with the exit code
 * in `process.exitCode`; what goes wrong is thrown.
 */
export function nebulaioProgram(serve: Serve): Command {
  const program = new Command('nebulaio').description('A transparent encrypting S3 reverse proxy')
  program
    .command('serve')
    .description('run the proxy with a configuration file')
    .requiredOption('--config <file>', 'configuration file')
    .action((options: { config: string }) => runProxy(options.config, serve))
  program
    .command('start')
    .description(
      'like serve if NEBULAIO_CONFIG or --config names a configuration file; ' +
        'else run the proxy with a backend, keys and credentials of its own, for trying it out',
    )
    .option('--config <file>', 'configuration file', process.env['NEBULAIO_CONFIG'])
    .option('--listen <host:port>', 'where clients connect', '127.0.0.1:9000')
    .option('--admin-listen <host:port>', 'where health is asked for', '127.0.0.1:9001')
    .option('--data-dir <folder>', 'folder for objects, keys and state', './data')
    .action(async ({ config, ...options }: StartOptions & { config?: string }) => {
      if (config) await runProxy(config, serve)
      else process.exitCode = await runDemo(options, serve)
    })
  return program
}

async function runProxy(configFile: string, serve: Serve): Promise<void> {
  const signalled = endSignal()
  const proxy = await serve(configFile)
  await signalled
  await proxy.stop()
}
