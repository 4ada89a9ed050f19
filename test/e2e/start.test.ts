import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { linesToPaste, startDemo, welcome } from '../../src/cli/start.ts'
import { freePorts } from '../../src/demo/ports.ts'
import { hasPythonClients, shell } from '../support/clients.ts'
import { describeEachService } from '../support/each-service.ts'

describe.skipIf(inject('services').seaweedfs === null)('the demo', () => {
  let dataDir = ''
  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'nebulaio-start-'))
  })
  afterEach(async () => {
    await rm(dataDir, { recursive: true })
  })

  async function options() {
    const [port, adminPort] = await freePorts(2)
    return { dataDir, listen: `127.0.0.1:${port}`, adminListen: `127.0.0.1:${adminPort}` }
  }

  test('gives the proxy a configuration with its backend, and ends with its backend gone', async () => {
    const events: string[] = []
    const demo = await startDemo(await options(), async (configFile) => {
      const endpoint = /endpoint: "(?<url>.*)"/.exec(await readFile(configFile, 'utf8'))?.groups?.[
        'url'
      ]
      const answer = await fetch(`${endpoint}/healthz`)
      events.push(`backend answers ${answer.status}`)
      return { stop: async () => void events.push('proxy stopped') }
    })
    const gone = demo.backendExited.then(() => events.push('backend gone'))
    expect(welcome(demo, './data')).toContain(demo.credentials.secretAccessKey)
    await demo.stop()
    await gone
    expect(events).toEqual(['backend answers 200', 'proxy stopped', 'backend gone'])
  })

  test('stops its backend when the proxy does not start', async () => {
    let endpoint = ''
    const failing = startDemo(await options(), async (configFile) => {
      const text = await readFile(configFile, 'utf8')
      endpoint = /endpoint: "(?<url>.*)"/.exec(text)?.groups?.['url'] ?? ''
      throw new Error('no proxy')
    })
    await expect(failing).rejects.toThrow('no proxy')
    await expect(fetch(`${endpoint}/healthz`)).rejects.toThrow('fetch failed')
  })

  test.each(['listen', 'adminListen'] as const)('says which port is taken: %s', async (option) => {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const taken = `127.0.0.1:${(server.address() as AddressInfo).port}`
    const failing = startDemo({ ...(await options()), [option]: taken }, () => {
      throw new Error('not to be called')
    })
    const name = option === 'listen' ? '--listen' : '--admin-listen'
    await expect(failing).rejects.toThrow(`${taken}: it is in use; choose another with ${name}`)
    server.close()
  })

  test.each([
    '9000',
    'localhost',
    ':9000',
    'localhost:',
    'localhost:0',
    'a:b:1',
    '127.0.0.1:70000',
  ])('refuses the address %s', async (listen) => {
    const failing = startDemo({ ...(await options()), listen }, () => {
      throw new Error('not to be called')
    })
    await expect(failing).rejects.toThrow(`--listen: expected host:port, got "${listen}"`)
  })
})

describeEachService('the lines to paste', (service) => {
  const lines = linesToPaste({ endpoint: service.endpoint, credentials: service })

  test.skipIf(!hasPythonClients()).each(Object.entries(lines))(
    'work as they are: %s',
    async (_, line) => {
      const { code, stderr } = await shell(line)
      expect({ code, stderr }).toMatchObject({ code: 0 })
    },
  )
})
