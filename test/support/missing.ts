import { appendFileSync, existsSync, readFileSync } from 'node:fs'

/** Something that tests want and this machine lacks. */
export interface Missing {
  readonly what: string
  readonly reason: string
}

/**
 * Records that the machine lacks something, so that the run's summary names it; with `CI=true` the
 * run then fails. Tests that need it are to be skipped, not left out.
 */
export function missing(what: string, reason: string): void {
  process.stderr.write(`MISSING ${what}: ${reason}\n`)
  const file = process.env['NEBULAIO_MISSING_FILE']
  if (file) appendFileSync(file, `${JSON.stringify({ what, reason } satisfies Missing)}\n`)
}

/** What has been recorded in this file. */
export function readMissing(file: string): Missing[] {
  if (!existsSync(file)) return []
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean)
  return lines.map((line) => JSON.parse(line) as Missing)
}
