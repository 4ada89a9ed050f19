import { randomUUID } from 'node:crypto'
import { readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { OnLost } from './database.ts'

/** Another live process has the folder open, or its end can't be proved yet. */
export class FolderLockedError extends Error {
  override readonly name = 'FolderLockedError'
}

export interface FolderLockOptions {
  /** Called when another process has taken the lock away; the folder must then not be written. */
  readonly onLost: OnLost
  /** Time between two signs of life written into the file. */
  readonly heartbeatMs?: number
}

/** A lock of another machine or container is stale after this many heartbeats without a change. */
const staleHeartbeats = 4

interface Holder {
  readonly token: string
  readonly pid: number
  /** Names the space in which `pid` means something: boot and PID namespace, or host name. */
  readonly pidSpace: string
  /** Tells a process from a later one with the same pid; '' where the system doesn't say. */
  readonly startedAt: string
}

/**
 * Takes the lock that `path` stands for and returns the function that releases it. A lock left by a
 * killed process is taken over: at once if its end can be seen from here, else (other container or
 * machine) once its file has not changed for four heartbeats. Throws FolderLockedError.
 */
export async function lockFolder(path: string, options: FolderLockOptions): Promise<() => void> {
  const { onLost, heartbeatMs = 5_000 } = options
  const holder: Holder = { token: randomUUID(), ...describeProcess() }
  const beat = (count: number) => marshalHolder(holder, count)
  if (!create(path, beat(0))) {
    await removeStale(path, heartbeatMs)
    if (!create(path, beat(0))) throw new FolderLockedError(`${path} was taken at the same moment`)
  }
  held.add(holder.token)
  let count = 0
  const timer = setInterval(() => {
    try {
      if (!holds(path, holder)) throw new FolderLockedError(`${path} was taken away`)
      writeFileSync(path, beat(++count))
    } catch (error) {
      clearInterval(timer)
      onLost(new FolderLockedError('The lock of the state folder is lost', { cause: error }))
    }
  }, heartbeatMs)
  timer.unref()
  return () => {
    clearInterval(timer)
    held.delete(holder.token)
    if (holds(path, holder)) rmSync(path)
  }
}

/** Tokens of the locks that this process holds: a pid alone can't tell them from a predecessor's. */
const held = new Set<string>()

function create(path: string, text: string): boolean {
  try {
    writeFileSync(path, text, { flag: 'wx', mode: 0o600 })
    return true
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false
    throw error
  }
}

/** Moves the file away if it is stale; throws FolderLockedError if it isn't. */
async function removeStale(path: string, heartbeatMs: number): Promise<void> {
  const seen = read(path)
  if (seen === null) return
  const holder = parseHolder(seen)
  const life = holder === null ? 'unknown' : lifeOf(holder)
  if (life === 'alive') throw new FolderLockedError(`${path} is held by process ${holder?.pid}`)
  if (life === 'unknown') {
    await sleep(staleHeartbeats * heartbeatMs)
    if (read(path) !== seen) throw new FolderLockedError(`${path} is held by a process elsewhere`)
  }
  // Renaming shows which file it was: another process may have taken the stale one over meanwhile.
  const aside = `${path}.${randomUUID()}`
  try {
    renameSync(path, aside)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return
    throw error
  }
  if (read(aside) !== seen) {
    renameSync(aside, path)
    throw new FolderLockedError(`${path} was taken at the same moment`)
  }
  rmSync(aside)
}

function lifeOf(holder: Holder): 'alive' | 'dead' | 'unknown' {
  if (held.has(holder.token)) return 'alive'
  if (holder.pidSpace !== pidSpace()) return 'unknown'
  if (holder.pid === process.pid) return 'dead'
  try {
    process.kill(holder.pid, 0)
  } catch (error) {
    return hasCode(error, 'ESRCH') ? 'dead' : 'alive'
  }
  return holder.startedAt === startOf(holder.pid) ? 'alive' : 'dead'
}

function describeProcess(): Omit<Holder, 'token'> {
  return { pid: process.pid, pidSpace: pidSpace(), startedAt: startOf(process.pid) }
}

function pidSpace(): string {
  if (process.platform !== 'linux') return hostname()
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  return `${boot} ${readlinkSync('/proc/self/ns/pid')}`
}

function startOf(pid: number): string {
  if (process.platform !== 'linux') return ''
  // proc(5): the command name, in parentheses, may hold spaces; state and start time come after it.
  const stat = read(`/proc/${pid}/stat`) ?? ''
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const isZombie = fields[0] === 'Z'
  return isZombie ? '' : (fields[19] ?? '')
}

function holds(path: string, { token }: Holder): boolean {
  return parseHolder(read(path) ?? '')?.token === token
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ESRCH')) return null
    throw error
  }
}

function marshalHolder({ token, pid, pidSpace, startedAt }: Holder, beat: number): string {
  return [token, pid, pidSpace, startedAt, beat, ''].join('\n')
}

/** Null for a file that is empty or cut off, as a crash may leave it. */
function parseHolder(text: string): Holder | null {
  const [token = '', pid = '', pidSpace = '', startedAt = '', , end] = text.split('\n')
  return end === undefined ? null : { token, pid: Number(pid), pidSpace, startedAt }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
