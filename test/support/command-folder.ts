import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const main = new URL('../../src/main.ts', import.meta.url).pathname

/** Stands in every place of a configuration where a secret does, and in the environment. */
export const plantedSecret = 'planted-5ecret-planted'

export interface CommandRun {
  readonly child: ChildProcess
  /** What it has written so far. */
  readonly output: { out: string; err: string }
  /** The exit code, once everything has been written. */
  readonly ended: Promise<number | null>
}

export interface CommandResult {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** `nebulaio` commands in a new folder. `remove` ends those that still run, and takes the folder away. */
export async function commandFolder() {
  const folder = await mkdtemp(join(tmpdir(), 'nebulaio-cli-'))
  const children: ChildProcess[] = []
  const start = (...args: string[]): CommandRun => {
    const env = { PATH: process.env['PATH'], MASTER: plantedSecret }
    const child = spawn(process.execPath, [main, ...args], { cwd: folder, env })
    children.push(child)
    const output = { out: '', err: '' }
    child.stdout.on('data', (text: Buffer) => (output.out += text.toString()))
    child.stderr.on('data', (text: Buffer) => (output.err += text.toString()))
    const ended = once(child, 'close').then(([code]) => code as number | null)
    return { child, output, ended }
  }
  return {
    folder,
    start,
    async run(...args: string[]): Promise<CommandResult> {
      const { output, ended } = start(...args)
      const code = await ended
      return { code, ...output }
    },
    /** Writes a configuration and gives its path. */
    async configFile(content: object | string): Promise<string> {
      const file = join(folder, 'config.yaml')
      await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content))
      return file
    },
    async remove(): Promise<void> {
      for (const child of children) {
        if (child.exitCode !== null || child.signalCode !== null) continue
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
      await rm(folder, { recursive: true })
    },
  }
}

export type CommandFolder = Awaited<ReturnType<typeof commandFolder>>

/** A configuration that serves on free ports, in front of nothing. */
export function commandSettings(more: object = {}): object {
  return {
    server: { listen: '127.0.0.1:0', workers: 0, limits: { shutdown_grace: '1s' } },
    admin: { listen: '127.0.0.1:0' },
    backend: {
      endpoint: 'http://127.0.0.1:1',
      access_key_id: 'id',
      secret_access_key: plantedSecret,
    },
    credentials: [{ access_key_id: 'client', secret_access_key: plantedSecret }],
    state: { url: 'file:state' },
    encryption: {
      enabled: true,
      kms: { provider: 'local', local: { key_store_path: 'keys', master_password: '${MASTER}' } },
    },
    ...more,
  }
}
