import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { runCommand } from '../../src/demo/command.ts'
import { missing } from '../support/missing.ts'

const folder = new URL('../vectors/', import.meta.url).pathname
const timeoutMs = 300_000

test('the committed vectors are the ones that the Python implementation makes', async () => {
  const made = await runCommand('python3', [`${folder}generate.py`, '--check'], { timeoutMs })
  expect(made.code === 0 ? '' : made.stdout + made.stderr).toBe('')
})

const go = await runCommand('sh', ['-c', 'command -v go'], { timeoutMs: 10_000 })
if (go.code !== 0) missing('go', 'needed for minio/sio, which cross-reads part streams')

test.skipIf(go.code !== 0)('minio/sio reads and writes the same part streams', async () => {
  const checked = await runCommand('go', ['run', '-C', `${folder}sio`, '.', 'check', '..'], {
    timeoutMs,
  })
  expect(checked.code === 0 ? '' : checked.stdout + checked.stderr).toBe('')
  expect(existsSync(`${folder}part-streams.json`)).toBe(true)
})
