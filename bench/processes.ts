import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** A server under measurement, in a process of its own. */
export interface Measured {
  readonly process: ChildProcess
  readonly pid: number
}

/** Starts a Node program and waits until it has printed a line that matches. */
export async function startNode(
  args: readonly string[],
  ready: RegExp,
  options: { readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Measured> {
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...options.env },
  })
  await new Promise<void>((resolve, reject) => {
    let seen = ''
    child.stdout.on('data', (text: Buffer) => {
      seen = (seen + text.toString()).slice(-4096)
      if (ready.test(seen)) resolve()
    })
    child.on('exit', (code) => reject(new Error(`${args.join(' ')} ended with ${code}: ${seen}`)))
  })
  if (child.pid === undefined) throw new Error(`${args.join(' ')} has no process`)
  return { process: child, pid: child.pid }
}

/** CPU seconds, user and system, that a process has used (Linux). */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  const ticksPerSecond = 100
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

/** Peak resident memory of a process in MiB (Linux). */
export function peakRssMiB(pid: number): number {
  const match = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(match?.[1]) / 1024
}

/** The one child of a control process: its worker (Linux). */
export function workerPid(pid: number): number {
  const [child = ''] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ')
  return Number(child)
}

export async function stop(measured: Measured): Promise<void> {
  const ended = new Promise((resolve) => measured.process.once('exit', resolve))
  measured.process.kill('SIGTERM')
  await ended
}
