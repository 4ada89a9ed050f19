import type { ConfigProblem } from '../config/config-error.ts'
import type { Config } from '../config/schema.ts'
import { createLogger } from '../observe/logger.ts'
import { printError } from './print-error.ts'
import { startServer, type RunningServer } from '../server.ts'

/** Serves until a signal ends it. A second signal ends it at once. */
export async function serve(config: Config, warnings: readonly ConfigProblem[]): Promise<void> {
  const logger = createLogger(config.logging)
  for (const { path, message } of warnings) logger('server').warn({ path }, message)
  const server = await startServer(config, logger)
  closeOnSignal(server, () => Promise.resolve())
}

/**
 * Closes the server, then `after`, on the first SIGINT or SIGTERM, and ends the process: with 0, or
 * with 1 and the reason if closing failed.
 */
export function closeOnSignal(server: RunningServer, after: () => Promise<void>): void {
  let isClosing = false
  const onSignal = (): void => {
    if (isClosing) process.exit(1)
    isClosing = true
    server
      .close()
      .then(after)
      .then(() => process.exit(0))
      .catch((error: unknown) => {
        printError(error)
        process.exit(1)
      })
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
}
