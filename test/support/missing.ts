import { appendFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Reports that tests are skipped because a real service can't be had on this machine. In CI that is a
 * failure.
 */
export function missing(service: string, reason: string): void {
  const line = `SKIPPED: ${service} is missing: ${reason}`
  if (process.env['CI']) throw new Error(line)
  appendFileSync(join(tmpdir(), 'nebulaio-missing-services.txt'), `${line}\n`)
  process.stderr.write(`${line}\n`)
}
