import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { missing } from './missing.ts'

const installations = '/usr/lib/postgresql'
const startTimeoutMs = 60_000

/** A real PostgreSQL server of its own on 127.0.0.1, with its data in a temporary folder. */
export interface PostgresServer {
  /** Creates an empty database and returns its URL. */
  createDatabase(): Promise<string>
  /** Starts the server again after `kill`, on the same port and data. */
  start(): Promise<void>
  /** Ends the server at once, as a crash would: all connections break. */
  kill(): Promise<void>
  /** Kills the server and deletes its data. */
  remove(): Promise<void>
}

/** Null, after a loud report, if this machine has no PostgreSQL and can't install it. */
export async function startPostgres(): Promise<PostgresServer | null> {
  const bin = findBinaries() ?? installBinaries()
  if (bin === null) return null
  const owner = process.getuid?.() === 0 ? userIds('postgres') : null
  const folder = mkdtempSync(join(tmpdir(), 'nebulaio-postgres-'))
  if (owner) chownSync(folder, owner.uid, owner.gid)
  const password = randomBytes(12).toString('hex')
  const passwordFile = join(folder, 'password')
  writeFileSync(passwordFile, password)
  const data = join(folder, 'data')
  execFileSync(
    join(bin, 'initdb'),
    ['-D', data, '-U', 'postgres', '-A', 'scram-sha-256', '--pwfile', passwordFile, '--no-sync'],
    { ...owner, cwd: folder, stdio: 'ignore' },
  )
  const port = await freePort()
  const url = (database: string) => `postgres://postgres:${password}@127.0.0.1:${port}/${database}`
  const args = ['-D', data, '-k', folder, '-p', `${port}`, '-h', '127.0.0.1', '-c', 'fsync=off']
  let child: ChildProcess | null = null
  const kill = async () => {
    const running = child
    child = null
    if (running?.exitCode !== null || running.signalCode !== null) return
    running.kill('SIGQUIT')
    await once(running, 'exit')
  }
  const start = async () => {
    child = spawn(join(bin, 'postgres'), args, { ...owner, cwd: folder, stdio: 'ignore' })
    await waitUntilReady(url('postgres'), child)
  }
  process.once('exit', () => child?.kill('SIGQUIT'))
  await start()
  return {
    start,
    kill,
    async createDatabase() {
      const name = `test_${randomUUID().replaceAll('-', '')}`
      await run(url('postgres'), `create database ${name}`)
      return url(name)
    },
    async remove() {
      await kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function findBinaries(): string | null {
  const versions = existsSync(installations) ? readdirSync(installations) : []
  const newest = versions
    .map(Number)
    .filter(Number.isFinite)
    .sort((a, b) => b - a)
  const folders = newest.map((version) => join(installations, `${version}`, 'bin'))
  return folders.find((folder) => existsSync(join(folder, 'initdb'))) ?? null
}

function installBinaries(): string | null {
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    missing('postgresql', `no server in ${installations}, and not root on a Debian to install one`)
    return null
  }
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    execFileSync('apt-get', ['update'], { env, stdio: 'ignore' })
    execFileSync('apt-get', ['install', '-y', '--no-install-recommends', 'postgresql'], {
      env,
      stdio: 'ignore',
    })
  } catch (error) {
    missing('postgresql', `apt-get can't install it: ${String(error)}`)
    return null
  }
  const bin = findBinaries()
  if (bin === null) missing('postgresql', `apt-get put no server into ${installations}`)
  return bin
}

function userIds(name: string): { uid: number; gid: number } {
  const id = (flag: string) => Number(execFileSync('id', [flag, name], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function waitUntilReady(url: string, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + startTimeoutMs
  for (;;) {
    try {
      await run(url, 'select 1')
      return
    } catch (error) {
      if (child.exitCode !== null || Date.now() > deadline) throw error
      await sleep(50)
    }
  }
}

async function run(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
