import { ConfigError } from '../config/config-error.ts'

/** Writes what went wrong to standard error, a line for each problem, and what helps; no stack. */
export function printError(error: unknown): void {
  const text = error instanceof Error ? error.message : String(error)
  for (const line of text.split('\n')) console.error(`nebulaio: error: ${line}`)
  if (error instanceof ConfigError) {
    console.error('nebulaio: hint: config.example.yaml documents every key')
  }
}
