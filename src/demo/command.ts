import { spawn } from 'node:child_process'

export interface CommandResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface CommandOptions {
  readonly timeoutMs: number
  readonly cwd?: string
  /** The whole environment of the child; the own one if left out. */
  readonly env?: NodeJS.ProcessEnv
  /** Written to the child's stdin, which is empty otherwise. */
  readonly input?: string | Buffer
}

/**
 * Runs a program to its end and gives its exit code and output; a code other than 0 is no error
 * here. Throws if the program can't be started, is ended by a signal or exceeds `timeoutMs`.
 */
export function runCommand(
  program: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<CommandResult> {
  const { timeoutMs, cwd, env, input = '' } = options
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env, timeout: timeoutMs, killSignal: 'SIGKILL' })
    const output = { stdout: [] as Buffer[], stderr: [] as Buffer[] }
    child.stdout.on('data', (chunk: Buffer) => output.stdout.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => output.stderr.push(chunk))
    child.on('error', reject)
    child.on('close', (code, signal) => {
      const stdout = Buffer.concat(output.stdout).toString()
      const stderr = Buffer.concat(output.stderr).toString()
      if (code !== null) return resolve({ code, stdout, stderr })
      const cause = lastLines(stderr || stdout)
      reject(new Error(`${program} was ended by ${signal} (limit ${timeoutMs} ms): ${cause}`))
    })
    // A program that never reads its stdin may be gone before the input is written.
    child.stdin.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') reject(error)
    })
    child.stdin.end(input)
  })
}

/** Like `runCommand`, but an exit code other than 0 is an error that carries the end of the output. */
export async function runOrThrow(
  program: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<CommandResult> {
  const result = await runCommand(program, args, options)
  if (result.code === 0) return result
  const output = lastLines(result.stderr || result.stdout)
  throw new Error(`${program} ${args[0] ?? ''} failed with exit code ${result.code}: ${output}`)
}

function lastLines(text: string): string {
  return text.trim().split('\n').slice(-8).join('\n')
}
