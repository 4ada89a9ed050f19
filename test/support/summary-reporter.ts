import { mkdtempSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Reporter, TestModule } from 'vitest/node'
import { readMissing } from './missing.ts'

/**
 * Prints, as the very last lines of a run, what the machine lacked and one line of counts. With
 * `CI=true` each missing thing counts as a failure.
 */
export default class SummaryReporter implements Reporter {
  readonly #folder = mkdtempSync(join(tmpdir(), 'nebulaio-missing-'))
  readonly #missingFile = join(this.#folder, 'missing.jsonl')

  constructor() {
    // Inherited by the workers, in which the tests run.
    process.env['NEBULAIO_MISSING_FILE'] = this.#missingFile
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 }
    for (const module of modules) {
      // Files that couldn't be loaded, and hooks that failed, have no failed test to show.
      const failedTests = [...module.children.allTests('failed')].length
      counts.failed += failedTests
      if (failedTests === 0 && module.state() === 'failed') counts.failed += 1
      counts.passed += [...module.children.allTests('passed')].length
      counts.skipped += [...module.children.allTests('skipped')].length
    }
    const missing = readMissing(this.#missingFile)
    rmSync(this.#folder, { recursive: true })
    if (process.env['CI'] === 'true') counts.failed += missing.length
    if (counts.failed > 0) process.exitCode = 1
    const lines = missing.map(({ what, reason }) => `  ${what}: ${reason}`)
    if (missing.length > 0) lines.unshift('', '!!! MISSING on this machine, so NOT TESTED:')
    const { passed, failed, skipped } = counts
    lines.push('', `tests: ${passed} passed, ${failed} failed, ${skipped} skipped`, '')
    // Later than all that vitest and the global set-up print on their way out.
    process.once('exit', () => writeSync(1, lines.join('\n')))
  }
}
