import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { open, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** A server that runs as a child of this process and is ended with it. */
export interface Daemon {
  readonly pid: number
  /** Resolves when the process is gone, whatever ended it. */
  readonly exited: Promise<void>
  /** Asks the process to end, kills it after a grace period, and resolves when it is gone. */
  stop(): Promise<void>
}

export interface DaemonOptions {
  /** For error messages. */
  readonly name: string
  /** The whole environment of the child. */
  readonly env: NodeJS.ProcessEnv
  /** Gets stdout and stderr, appended. */
  readonly logFile: string
  /** Asked again and again until it says true; what it throws counts as false. */
  readonly ready: (signal: AbortSignal) => Promise<boolean>
  readonly readyTimeoutMs?: number
  /** How long an asked process may take to end before it is killed. */
  readonly stopGraceMs?: number
}

const askEveryMs = 50

/** Starts a server and resolves when it is ready. Throws, with the end of its log, if it isn't. */
export async function startDaemon(
  program: string,
  args: readonly string[],
  options: DaemonOptions,
): Promise<Daemon> {
  const { name, env, logFile, ready, readyTimeoutMs = 60_000, stopGraceMs = 10_000 } = options
  const log = await open(logFile, 'a', 0o600)
  // Detached: a Ctrl-C in the terminal must reach this process only, which then stops its children
  // in the right order.
  const child = spawn(program, args, { env, detached: true, stdio: ['ignore', log.fd, log.fd] })
  const watched = watch(child, stopGraceMs)
  await log.close()
  const failed = await waitUntilReady({ watched, ready, readyTimeoutMs })
  if (failed === null) return watched.daemon
  await watched.daemon.stop()
  const lines = (await readFile(logFile, 'utf8')).trim().split('\n').slice(-10).join('\n')
  throw new Error(`${name} ${failed}; the end of ${logFile}:\n${lines}`)
}

interface Watched {
  readonly daemon: Daemon
  /** Why the process is gone, null while it runs. */
  gone(): string | null
}

function watch(child: ChildProcess, stopGraceMs: number): Watched {
  let gone: string | null = null
  const killWithParent = () => child.kill('SIGKILL')
  process.once('exit', killWithParent)
  const exited = new Promise<void>((resolve) => {
    const end = (reason: string) => {
      gone ??= reason
      process.removeListener('exit', killWithParent)
      resolve()
    }
    child.once('error', (error) => end(`could not be started (${error.message})`))
    child.once('exit', (code, signal) => end(`ended with ${signal ?? `code ${code}`}`))
  })
  const stop = async () => {
    if (gone !== null) return
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), stopGraceMs)
    await exited
    clearTimeout(timer)
  }
  return { daemon: { pid: child.pid ?? 0, exited, stop }, gone: () => gone }
}

async function waitUntilReady(options: {
  watched: Watched
  ready: DaemonOptions['ready']
  readyTimeoutMs: number
}): Promise<string | null> {
  const { watched, ready, readyTimeoutMs } = options
  const deadline = AbortSignal.timeout(readyTimeoutMs)
  while (!deadline.aborted) {
    const gone = watched.gone()
    if (gone !== null) return gone
    const isReady = await ready(deadline).catch(() => false)
    // A server on the same port, started by someone else, may have answered.
    if (isReady && watched.gone() === null) return null
    await sleep(askEveryMs)
  }
  return `was not ready within ${readyTimeoutMs} ms`
}

/** A readiness question: does a GET of this URL answer with status 200? */
export function answersOk(url: string): DaemonOptions['ready'] {
  return async (signal) => {
    const response = await fetch(url, { signal, headers: { connection: 'close' } })
    await response.arrayBuffer()
    return response.status === 200
  }
}
