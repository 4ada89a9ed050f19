import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { demoSecrets, writeDemoConfig } from '../../src/cli/demo-files.ts'

let folder = ''
let dataDir = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nebulaio-demo-'))
  dataDir = join(folder, 'data')
})
afterEach(async () => {
  await rm(folder, { recursive: true })
})

const addresses = {
  listen: '127.0.0.1:9000',
  adminListen: '127.0.0.1:9001',
  backendEndpoint: 'http://127.0.0.1:1234',
}

const modeOf = async (name: string) => (await stat(join(dataDir, name))).mode & 0o777

describe('the secrets of a demo', () => {
  test('are the same each time', async () => {
    const first = await demoSecrets(dataDir)
    const key = await readFile(join(dataDir, 'master.key'), 'utf8')
    expect(await demoSecrets(dataDir)).toEqual(first)
    expect(await readFile(join(dataDir, 'master.key'), 'utf8')).toBe(key)
  })

  test('are of another kind for clients than for the backend, and others in another folder', async () => {
    const { client, backend } = await demoSecrets(dataDir)
    const other = await demoSecrets(join(folder, 'other'))
    const all = [client, backend, other.client, other.backend]
    expect(new Set(all.map(({ secretAccessKey }) => secretAccessKey)).size).toBe(4)
    expect(new Set(all.map(({ accessKeyId }) => accessKeyId)).size).toBe(4)
  })

  test('have the size of keys', async () => {
    const { client } = await demoSecrets(dataDir)
    expect(client.accessKeyId).toMatch(/^[A-Z\d]{20}$/)
    expect(client.secretAccessKey).toMatch(/^[a-f\d]{40}$/)
    expect(await readFile(join(dataDir, 'master.key'), 'utf8')).toMatch(/^[a-f\d]{64}\n$/)
  })

  test('can be read by nobody else', async () => {
    await writeDemoConfig(dataDir, await demoSecrets(dataDir), addresses)
    expect(await modeOf('.')).toBe(0o700)
    expect((await readdir(dataDir)).sort()).toEqual([
      'config.yaml',
      'credentials.json',
      'master.key',
    ])
    for (const name of await readdir(dataDir)) expect(await modeOf(name)).toBe(0o600)
  })

  test('a lost master key is never replaced', async () => {
    await demoSecrets(dataDir)
    await rm(join(dataDir, 'master.key'))
    await expect(demoSecrets(dataDir)).rejects.toThrow('master.key is gone')
    expect(await readdir(dataDir)).toEqual(['credentials.json'])
  })

  test('a start that was cut off after the master key goes on with that key', async () => {
    await demoSecrets(dataDir)
    await rm(join(dataDir, 'credentials.json'))
    const key = await readFile(join(dataDir, 'master.key'), 'utf8')
    await demoSecrets(dataDir)
    expect(await readFile(join(dataDir, 'master.key'), 'utf8')).toBe(key)
  })

  test.each([
    ['', 'nothing'],
    ['{"client":', 'half of it'],
    ['null', 'no object'],
    ['{"client":{"accessKeyId":"a","secretAccessKey":"b"}}', 'no backend'],
    ['{"client":{"accessKeyId":"a","secretAccessKey":1},"backend":{}}', 'a number'],
  ])('damaged, they are an error: %s (%s)', async (content) => {
    await demoSecrets(dataDir)
    await writeFile(join(dataDir, 'credentials.json'), content)
    await expect(demoSecrets(dataDir)).rejects.toThrow('credentials.json is damaged')
  })
})

describe('the configuration of a demo', () => {
  test('is written anew each time', async () => {
    const secrets = await demoSecrets(dataDir)
    const file = await writeDemoConfig(dataDir, secrets, addresses)
    await chmod(file, 0o644)
    await writeDemoConfig(dataDir, secrets, {
      ...addresses,
      backendEndpoint: 'http://127.0.0.1:99',
    })
    const text = await readFile(file, 'utf8')
    expect(text).toContain('endpoint: "http://127.0.0.1:99"')
    expect(await modeOf('config.yaml')).toBe(0o600)
  })
})
