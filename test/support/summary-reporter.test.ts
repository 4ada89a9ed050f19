import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { runCommand } from '../../src/demo/command.ts'

const path = (relative: string) => new URL(relative, import.meta.url).pathname
const vitest = path('../../node_modules/vitest/vitest.mjs')

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nebulaio-summary-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true })
})

/** Runs files of tests, in which `missing` can be called, and gives the end of the output. */
async function summaryOf(files: string[], env: NodeJS.ProcessEnv = {}) {
  for (const [index, text] of files.entries()) {
    const header = `import { missing } from '${path('missing.ts')}'\n`
    await writeFile(join(folder, `${index}.test.ts`), header + text)
  }
  const reporter = `--reporter=${path('summary-reporter.ts')}`
  const args = [vitest, 'run', '--globals', '--root', folder, reporter]
  const { code, stdout } = await runCommand(process.execPath, args, {
    timeoutMs: 60_000,
    env: { PATH: process.env['PATH'], ...env },
  })
  return { code, lines: stdout.trimEnd().split('\n') }
}

describe('the last line of a run', () => {
  test('counts tests', async () => {
    const { code, lines } = await summaryOf([
      `test('a', () => {}); test('b', () => {}); test.skip('c', () => {})`,
      `test('d', () => {})`,
    ])
    expect(lines.at(-1)).toBe('tests: 3 passed, 0 failed, 1 skipped')
    expect(code).toBe(0)
  })

  test.each([
    ['a failed test', `test('b', () => { throw new Error() })`],
    ['a file that fails to load', `throw new Error()`],
    ['a file without tests', ``],
    ['a failed hook after the tests', `afterAll(() => { throw new Error() }); test('b', () => {})`],
    ['an error that nobody catches', `Promise.reject(new Error()); test('b', () => {})`],
  ])('shows %s', async (_, file) => {
    const { code, lines } = await summaryOf([`test('a', () => {})`, file])
    expect(lines.at(-1)).toMatch(/^tests: [12] passed, 1 failed, 0 skipped$/)
    expect(code).toBe(1)
  })
})

describe('what a machine lacks', () => {
  const file = `missing('minio', 'no go'); test('a', () => {}); test.skip('b', () => {})`

  test('is named before the counts', async () => {
    const { code, lines } = await summaryOf([file])
    expect(lines.slice(-4)).toEqual([
      '!!! MISSING on this machine, so NOT TESTED:',
      '  minio: no go',
      '',
      'tests: 1 passed, 0 failed, 1 skipped',
    ])
    expect(code).toBe(0)
  })

  test('fails the run in CI', async () => {
    const { code, lines } = await summaryOf([file], { CI: 'true' })
    expect(lines.at(-1)).toBe('tests: 1 passed, 1 failed, 1 skipped')
    expect(code).toBe(1)
  })
})
