// The one file that runs on whatever Node (>= 20) a machine has: it installs the locked packages if
// they are missing or outdated and hands over to the Node that the project pins.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const pinnedNode = join(root, 'node_modules', 'node', 'bin', 'node')
const installedLock = join(root, 'node_modules', '.installed-lock.json')

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  if (error) throw error
  if (status !== 0) process.exit(status ?? 1)
}

function installPackages() {
  const lock = readFileSync(join(root, 'package-lock.json'), 'utf8')
  const installed = existsSync(installedLock) ? readFileSync(installedLock, 'utf8') : ''
  if (installed === lock && existsSync(pinnedNode)) return
  console.log('installing packages (npm ci) ...')
  run('npm', ['ci', '--no-audit', '--no-fund'])
  if (!existsSync(pinnedNode)) run('npm', ['rebuild', 'node'])
  writeFileSync(installedLock, lock)
}

// For programs that run long and end in order: this process lives until they are gone, and hands on
// the signals that a terminal doesn't send to both.
function handOver(...args) {
  const child = spawn(pinnedNode, args, { cwd: root, stdio: 'inherit' })
  process.on('SIGINT', () => {})
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => {
    throw error
  })
  child.on('exit', (code) => process.exit(code ?? 1))
}

const tool = (path, ...args) => run(pinnedNode, [join('node_modules', path), ...args])
const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--config', 'test/vitest.config.ts']

const commands = {
  start: (args) => handOver('src/main.ts', 'start', ...args),
  nebulaio: (args) => handOver('src/main.ts', ...args),
  test: (args) => handOver(...vitest, ...args),
  check: () => {
    tool('typescript/bin/tsc')
    tool('oxlint/bin/oxlint', '--type-aware', '--deny-warnings')
    tool('prettier/bin/prettier.cjs', '--check', '.')
    handOver(...vitest, '--project', 'unit')
  },
  format: () => tool('prettier/bin/prettier.cjs', '--write', '.'),
  build: () => tool('typescript/bin/tsc', '--project', 'src/tsconfig.json'),
  bench: (args) => handOver('bench/main.ts', ...args),
}

const [name = '', ...args] = process.argv.slice(2)
const command = commands[name]
if (!command) {
  console.error(`usage: node src/bootstrap.mjs ${Object.keys(commands).join('|')}`)
  process.exit(2)
}
installPackages()
command(args)
