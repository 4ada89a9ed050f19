// One interleaved run of direct backend, plain Node passthrough and this proxy. See README.md.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { startSeaweed } from '../src/demo/seaweedfs.ts'
import { repeat, send, type Target } from './load.ts'
import { cpuSeconds, peakRssMiB, startNode, stop, workerPid, type Measured } from './processes.ts'
import { renderReport, type Measurement, type Report } from './report.ts'

const MiB = 1024 * 1024
const bucket = '/bench'
const rounds = 5

interface Contender {
  readonly name: string
  readonly target: Target
  /** The process whose CPU is counted; null for the direct backend. */
  readonly measured: Measured | null
}

interface Work {
  readonly name: string
  readonly unit: 'GiB' | '1,000 requests'
  /** In units. */
  readonly amount: number
  run(target: Target): Promise<unknown>
}

const works: readonly Work[] = [
  {
    name: 'PUT 64 MiB',
    unit: 'GiB',
    amount: (8 * 64) / 1024,
    run: (target) =>
      repeat(8, 2, (i) =>
        send(target, { method: 'PUT', path: `${bucket}/large${i}`, size: 64 * MiB }),
      ),
  },
  {
    name: 'GET 64 MiB',
    unit: 'GiB',
    amount: (8 * 64) / 1024,
    run: (target) =>
      repeat(8, 2, (i) => send(target, { method: 'GET', path: `${bucket}/large${i}` })),
  },
  {
    name: 'PUT 4 KiB',
    unit: '1,000 requests',
    amount: 1,
    run: (target) =>
      repeat(1000, 16, (i) =>
        send(target, { method: 'PUT', path: `${bucket}/small${i}`, size: 4096 }),
      ),
  },
  {
    name: 'GET 4 KiB',
    unit: '1,000 requests',
    amount: 1,
    run: (target) =>
      repeat(1000, 16, (i) => send(target, { method: 'GET', path: `${bucket}/small${i}` })),
  },
  {
    name: '64 KiB range of 64 MiB',
    unit: '1,000 requests',
    amount: 0.5,
    run: (target) =>
      repeat(500, 16, (i) => {
        const start = (i * 123_457) % (63 * MiB)
        return send(target, {
          method: 'GET',
          path: `${bucket}/large0`,
          range: `bytes=${start}-${start + 65_535}`,
        })
      }),
  },
]

const folder = mkdtempSync(join(tmpdir(), 'nebulaio-bench-'))
const backendCredentials = { accessKeyId: 'bench', secretAccessKey: 'bench-secret-key' }
const clientCredentials = { accessKeyId: 'client', secretAccessKey: 'client-secret-key' }
const main = new URL('../src/main.ts', import.meta.url).pathname
let nextPort = 19_480

async function startProxy(
  name: string,
  endpoint: string,
  settings: { readonly payload: string; readonly workers: number },
): Promise<Contender> {
  const port = (nextPort += 2)
  const file = join(folder, `${name}.yaml`)
  const config = {
    server: { listen: `127.0.0.1:${port}`, workers: settings.workers },
    admin: { listen: `127.0.0.1:${port + 1}` },
    backend: {
      endpoint,
      access_key_id: backendCredentials.accessKeyId,
      secret_access_key: backendCredentials.secretAccessKey,
      payload: settings.payload,
    },
    credentials: [
      {
        access_key_id: clientCredentials.accessKeyId,
        secret_access_key: clientCredentials.secretAccessKey,
      },
    ],
    state: { url: `file:./state-${name}` },
    encryption: {
      enabled: true,
      kms: {
        provider: 'local',
        local: { key_store_path: './keys', master_key_file: './master.key' },
      },
    },
  }
  writeFileSync(file, JSON.stringify(config))
  const measured = await startNode([main, 'serve', '--config', file], /"message":"serving"|serving/)
  const endpointUrl = `http://127.0.0.1:${port}`
  return {
    name,
    target: { endpoint: endpointUrl, host: `127.0.0.1:${port}`, ...clientCredentials },
    measured,
  }
}

async function measure(contender: Contender, work: Work): Promise<Omit<Measurement, 'round'>> {
  const cpuBefore = contender.measured ? cpuSeconds(contender.measured.pid) : 0
  const started = performance.now()
  await work.run(contender.target)
  const seconds = (performance.now() - started) / 1000
  const cpu = contender.measured ? cpuSeconds(contender.measured.pid) - cpuBefore : 0
  return {
    contender: contender.name,
    work: work.name,
    unit: work.unit,
    cpuPerUnit: contender.measured ? cpu / work.amount : null,
    unitsPerSecond: work.amount / seconds,
  }
}

/** Peak memory of a fresh worker after objects of growing size were put and read back. */
async function memoryCurve(endpoint: string): Promise<Report['memory']> {
  const curve: { sizeMiB: number; peakRssMiB: number }[] = []
  for (const sizeMiB of [1, 16, 64, 256, 1024, 4096]) {
    const proxy = await startProxy(`memory-${sizeMiB}`, endpoint, {
      payload: 'signed-chunks',
      workers: 1,
    })
    const path = `${bucket}/memory${sizeMiB}`
    await send(proxy.target, { method: 'PUT', path, size: sizeMiB * MiB })
    await send(proxy.target, { method: 'GET', path })
    if (proxy.measured) {
      curve.push({ sizeMiB, peakRssMiB: peakRssMiB(workerPid(proxy.measured.pid)) })
      await stop(proxy.measured)
    }
    await send(proxyless(endpoint), { method: 'DELETE', path })
  }
  return curve
}

function proxyless(endpoint: string): Target {
  return { endpoint, host: new URL(endpoint).host, ...backendCredentials }
}

async function run(): Promise<Report> {
  writeFileSync(join(folder, 'master.key'), randomBytes(32).toString('hex'), { mode: 0o600 })
  const backend = await startSeaweed({
    dataDir: join(folder, 'backend'),
    credentials: backendCredentials,
  })
  try {
    const direct = proxyless(backend.endpoint)
    await send(direct, { method: 'PUT', path: bucket })
    const passthroughPort = (nextPort += 2)
    const passthrough = await startNode(
      [
        new URL('passthrough.ts', import.meta.url).pathname,
        backend.endpoint,
        String(passthroughPort),
      ],
      /ready/,
    )
    const contenders: Contender[] = [
      { name: 'direct', target: direct, measured: null },
      {
        name: 'passthrough',
        target: { ...direct, endpoint: `http://127.0.0.1:${passthroughPort}` },
        measured: passthrough,
      },
      await startProxy('proxy', backend.endpoint, { payload: 'signed-chunks', workers: 0 }),
      await startProxy('proxy-unsigned', backend.endpoint, { payload: 'unsigned', workers: 0 }),
    ]
    const measurements: Measurement[] = []
    for (let round = 0; round <= rounds; round += 1) {
      for (const contender of contenders) {
        for (const work of works) {
          const measured = await measure(contender, work)
          // The first round warms everything up.
          if (round > 0) measurements.push({ round, ...measured })
        }
      }
      console.log(`round ${round} of ${rounds} done`)
    }
    for (const { measured } of contenders) if (measured) await stop(measured)
    return {
      date: new Date().toISOString(),
      machine: {
        cpu: cpus()[0]?.model ?? '',
        cores: availableParallelism(),
        node: process.version,
      },
      measurements,
      memory: await memoryCurve(backend.endpoint),
    }
  } finally {
    await backend.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

const report = await run()
const results = new URL('results/', import.meta.url).pathname
mkdirSync(results, { recursive: true })
writeFileSync(join(results, 'latest.json'), `${JSON.stringify(report, null, 1)}\n`)
writeFileSync(join(results, 'latest.md'), renderReport(report))
console.log(renderReport(report))
