import { Command } from 'commander'
import { loadConfig, type LoadedConfig } from '../config/load.ts'
import { openLocalKeyProvider } from '../kms/local.ts'
import { silentLogger } from '../observe/logger.ts'
import { printError } from './print-error.ts'
import { serve } from './serve.ts'
import { startDemo } from './start.ts'

const usageExitCode = 2

/** The command line of `nebulaio`. Sets the exit code: 0 done, 1 failed, 2 wrong usage. */
export async function runCli(argv: readonly string[]): Promise<void> {
  const program = new Command('nebulaio')
    .description('Transparent encrypting S3 reverse proxy')
    .exitOverride()
    .configureHelp({ sortSubcommands: true })
  program
    .command('serve')
    .description('serve S3 as the configuration says')
    .requiredOption('--config <file>', 'configuration file')
    .action(async ({ config }: { config: string }) => {
      const { config: loaded, warnings } = load(config)
      await serve(loaded, warnings)
    })
  program
    .command('check-config')
    .description('validate a configuration file')
    .argument('<file>', 'configuration file')
    .action((file: string) => {
      for (const { path, message } of load(file).warnings)
        console.log(`warning: ${path}: ${message}`)
      console.log('ok')
    })
  program
    .command('start')
    .description('serve with a demo backend and keys under ./data, or as --config says')
    .option('--config <file>', 'configuration file')
    .option('--listen <address>', 'address for S3', '127.0.0.1:9000')
    .option('--admin-listen <address>', 'address for health checks', '127.0.0.1:9001')
    .option('--data <folder>', 'where keys, credentials and objects are kept', './data')
    .action(
      async (options: { config?: string; listen: string; adminListen: string; data: string }) => {
        const file = options.config ?? process.env['NEBULAIO_CONFIG']
        if (file === undefined) {
          await startDemo(options)
          return
        }
        const { config, warnings } = load(file)
        await serve(config, warnings)
      },
    )
  const keys = program.command('keys').description('keys of the local key store')
  for (const [name, description] of [
    ['create', 'make a new key'],
    ['rotate', 'make a new version of a key; old versions keep decrypting'],
  ] as const) {
    keys
      .command(name)
      .description(description)
      .requiredOption('--config <file>', 'configuration file')
      .argument('<name>', 'name of the key')
      .action((key: string, { config }: { config: string }) =>
        changeKey(name, key, { file: config }),
      )
  }
  try {
    await program.parseAsync(argv)
  } catch (error) {
    fail(error)
  }
}

function load(file: string): LoadedConfig {
  return loadConfig(file, process.env)
}

async function changeKey(
  action: 'create' | 'rotate',
  name: string,
  { file }: { file: string },
): Promise<void> {
  const { local } = load(file).config.encryption.kms
  const provider = await openLocalKeyProvider(
    {
      keyStorePath: local.key_store_path,
      keyName: local.key_name,
      ...(local.master_key_file !== undefined && { masterKeyFile: local.master_key_file }),
      ...(local.master_password !== undefined && { masterPassword: local.master_password }),
    },
    silentLogger,
  )
  try {
    const described =
      action === 'create' ? await provider.createKey(name) : await provider.rotate(name)
    console.log(`local:${described.name} is at version ${described.currentVersion}`)
  } finally {
    await provider.close()
  }
}

function fail(error: unknown): void {
  if (isCommanderError(error)) {
    // commander has printed what is wrong, or the help that was asked for.
    process.exitCode = error.exitCode === 0 ? 0 : usageExitCode
    return
  }
  printError(error)
  process.exitCode = 1
}

function isCommanderError(error: unknown): error is { exitCode: number; code: string } {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('commander.')
}
