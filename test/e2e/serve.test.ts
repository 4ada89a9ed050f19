import { once } from 'node:events'
import { rm, writeFile } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  commandFolder,
  commandSettings,
  plantedSecret,
  type CommandFolder,
  type CommandRun,
} from '../support/command-folder.ts'

const waitMs = 60_000

let cli: CommandFolder
beforeEach(async () => {
  cli = await commandFolder()
})
afterEach(() => cli.remove())

describe('serve', () => {
  /** The addresses in the log line that says that the proxy serves. */
  async function serving({ child, output }: CommandRun): Promise<{ s3: string; admin: string }> {
    const line = () => output.out.split('\n').find((text) => text.includes('"msg":"serving"'))
    const deadline = Date.now() + waitMs
    while (line() === undefined) {
      if (child.exitCode !== null || Date.now() > deadline) throw new Error(output.err + output.out)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    return JSON.parse(line() ?? '') as { s3: string; admin: string }
  }

  test.each(['SIGTERM', 'SIGINT'] as const)('serves until %s, then ends with 0', async (signal) => {
    const proxy = cli.start(
      'serve',
      '--config',
      await cli.configFile(commandSettings({ logging: { level: 'debug' } })),
    )
    const { s3, admin } = await serving(proxy)
    expect(await (await fetch(`${admin}/health/ready`)).json()).toEqual({ status: 'ready' })
    expect((await fetch(`${s3}/bucket/key`)).status).toBe(403)
    proxy.child.kill(signal)
    expect(await proxy.ended).toBe(0)
    expect(proxy.output.err).toBe('')
    expect(proxy.output.out).not.toContain(plantedSecret)
    await expect(fetch(`${admin}/health/live`)).rejects.toThrow('fetch failed')
  })

  test('ends at once at the second signal', async () => {
    const limits = { shutdown_grace: '10m', header_timeout: '10m' }
    const server = { listen: '127.0.0.1:0', workers: 0, limits }
    const proxy = cli.start('serve', '--config', await cli.configFile(commandSettings({ server })))
    const { s3, admin } = await serving(proxy)
    // A request that never ends keeps the first signal waiting.
    const { hostname, port } = new URL(s3)
    const socket = connect(Number(port), hostname)
    await once(socket, 'connect')
    socket.write('PUT /bucket/key HTTP/1.1\r\nhost: x\r\n')
    socket.on('error', () => undefined)
    await fetch(`${admin}/health/live`)
    proxy.child.kill('SIGTERM')
    while (await isListening(s3)) await new Promise((resolve) => setTimeout(resolve, 20))
    expect(proxy.child.exitCode).toBeNull()
    proxy.child.kill('SIGTERM')
    expect(await proxy.ended).toBe(1)
  })

  test('logs the warnings of its configuration', async () => {
    const logging = { components: { disk: 'info' } }
    const proxy = cli.start('serve', '--config', await cli.configFile(commandSettings({ logging })))
    await serving(proxy)
    expect(proxy.output.out).toMatch(/"level":"warn".*"path":"logging\.components\.disk"/)
  })

  test.each<[what: string, damage: (keys: string) => Promise<void>, reason: RegExp]>([
    ['a damaged header', (keys) => writeFile(join(keys, 'keystore.json'), '{'), /keystore\.json/],
    ['a lost header', (keys) => rm(join(keys, 'keystore.json')), /keys\b.*keystore\.json/],
    ['a file of others', (keys) => writeFile(join(keys, 'notes'), ''), /notes/],
    [
      'a file in its place',
      (keys) => rm(keys, { recursive: true }).then(() => writeFile(keys, '')),
      /keys\b/,
    ],
  ])(
    'ends with 1 and one line, without a stack, if the key store has %s',
    async (_, damage, reason) => {
      const file = await cli.configFile(commandSettings())
      expect((await cli.run('keys', 'create', '--config', file, 'other')).code).toBe(0)
      await damage(join(cli.folder, 'keys'))
      const { code, err } = await cli.run('serve', '--config', file)
      expect(code).toBe(1)
      expect(err).toMatch(/^nebulaio: error: .*\n$/)
      expect(err).toMatch(reason)
      expect(err).not.toContain(plantedSecret)
    },
  )

  test('ends with 1 and the reason, without a stack, if the password is another', async () => {
    const file = await cli.configFile(commandSettings())
    expect((await cli.run('keys', 'create', '--config', file, 'other')).code).toBe(0)
    const local = { key_store_path: 'keys', master_password: 'another-long-password' }
    const encryption = { enabled: true, kms: { provider: 'local', local } }
    const { code, err } = await cli.run(
      'serve',
      '--config',
      await cli.configFile(commandSettings({ encryption })),
    )
    expect(code).toBe(1)
    expect(err).toMatch(/^nebulaio: error: .*keystore\.json.*\n$/)
    expect(err).not.toContain('another-long-password')
  })

  test('ends with 1 and the reason, without a stack, if an address is in use', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    const server = { listen: `127.0.0.1:${port}`, workers: 0 }
    const { code, err } = await cli.run(
      'serve',
      '--config',
      await cli.configFile(commandSettings({ server })),
    )
    other.close()
    expect(code).toBe(1)
    expect(err).toMatch(/^nebulaio: error: .*EADDRINUSE.*\n$/)
  })
})

async function isListening(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  const connected = await Promise.race([
    once(socket, 'connect').then(() => true),
    once(socket, 'close').then(() => false),
  ]).catch(() => false)
  socket.destroy()
  return connected
}
