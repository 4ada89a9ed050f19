import { describe, expect, test } from 'vitest'
import { runCommand, runOrThrow } from '../../src/demo/command.ts'

const timeoutMs = 30_000
const node = (program: string, options: Partial<Parameters<typeof runCommand>[2]> = {}) =>
  runCommand(process.execPath, ['-e', program], { timeoutMs, ...options })

describe('a command', () => {
  test('gives its exit code and output', async () => {
    const program = 'process.stdout.write("out"); process.stderr.write("err"); process.exitCode = 3'
    expect(await node(program)).toEqual({ code: 3, stdout: 'out', stderr: 'err' })
  })

  test('reads its input, and sees only the environment that it is given', async () => {
    const program =
      'process.stdin.pipe(process.stdout); console.error(process.env.ONLY, process.env.PATH)'
    const result = await node(program, { input: 'text', env: { ONLY: '1' } })
    expect(result).toEqual({ code: 0, stdout: 'text', stderr: '1 undefined\n' })
  })

  test('may end without reading its input', async () => {
    const result = await node('process.exit(0)', { input: Buffer.alloc(1_000_000) })
    expect(result.code).toBe(0)
  })

  test('that takes too long is killed, which is an error', async () => {
    const endless = node('setInterval(() => {}, 1000)', { timeoutMs: 200 })
    await expect(endless).rejects.toThrow('SIGKILL (limit 200 ms)')
  })

  test('that does not exist is an error', async () => {
    await expect(runCommand('/no/such/program', [], { timeoutMs })).rejects.toThrow('ENOENT')
  })

  test('that must succeed and does not is an error with the end of its output', async () => {
    const program = 'for (let i = 0; i < 20; i++) console.error("line", i); process.exit(1)'
    const failing = runOrThrow(process.execPath, ['-e', program], { timeoutMs })
    await expect(failing).rejects.toThrow(/exit code 1: line 12\n[^]*line 19$/)
  })
})
