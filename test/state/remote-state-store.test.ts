import { type ChildProcess, fork } from 'node:child_process'
import cluster from 'node:cluster'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { ipcChannel, type IpcPeer } from '../../src/state/channel.ts'
import { StateUnavailableError, type StateStore } from '../../src/state/ports.ts'
import { RemoteStateStore } from '../../src/state/remote-state-store.ts'
import { serveStateStore } from '../../src/state/serve-state-store.ts'
import { channelPair } from './channel-pair.ts'

const upload = { bucket: 'b', key: 'k\0💥', backendUploadId: 'u', token: 't' }

/** A store of which only `overrides` work. */
function fakeStore(overrides: Partial<StateStore> = {}): StateStore {
  const unexpected = () => Promise.reject(new Error('unexpected call'))
  return {
    putUpload: unexpected,
    deleteUpload: unexpected,
    findUploads: unexpected,
    putLayout: unexpected,
    setLayoutEtag: unexpected,
    deleteLayouts: unexpected,
    findLayouts: unexpected,
    hasCompleteRecords: unexpected,
    markRecordsComplete: unexpected,
    forgetBucket: unexpected,
    close: unexpected,
    ...overrides,
  }
}

function connect(store: StateStore, options?: { timeoutMs?: number; maxPending?: number }) {
  const [control, worker] = channelPair()
  serveStateStore(store, control)
  return { control, worker, remote: new RemoteStateStore(worker, options) }
}

const never = () => new Promise<never>(() => {})

describe('a remote state store', () => {
  test('passes arguments and results through unchanged', async () => {
    const calls: unknown[] = []
    const { remote } = connect(
      fakeStore({
        async putUpload(record) {
          calls.push(record)
        },
        async findUploads(...args) {
          calls.push(args)
          return new Map([['u\0', 't"']])
        },
      }),
    )
    expect(await remote.putUpload(upload)).toBeUndefined()
    expect(await remote.findUploads('b', ['u\0'])).toEqual(new Map([['u\0', 't"']]))
    expect(calls).toEqual([upload, ['b', ['u\0']]])
  })

  test('pairs answers with calls although they come in another order', async () => {
    const { remote } = connect(
      fakeStore({
        async findUploads(bucket) {
          await new Promise((resolve) => setTimeout(resolve, bucket === 'slow' ? 20 : 0))
          return new Map([[bucket, bucket]])
        },
      }),
    )
    const [slow, fast] = [remote.findUploads('slow', ['a']), remote.findUploads('fast', ['a'])]
    expect(await fast).toEqual(new Map([['fast', 'fast']]))
    expect(await slow).toEqual(new Map([['slow', 'slow']]))
  })

  test('tells an outage from another error', async () => {
    const { remote } = connect(
      fakeStore({
        hasCompleteRecords: () => Promise.reject(new StateUnavailableError('down')),
        forgetBucket: () => Promise.reject(new Error('refused', { cause: new Error('why') })),
      }),
    )
    await expect(remote.hasCompleteRecords('b')).rejects.toThrow(StateUnavailableError)
    await expect(remote.hasCompleteRecords('b')).rejects.toThrow('down')
    await expect(remote.forgetBucket('b')).rejects.toThrow('refused: why')
    await expect(remote.forgetBucket('b')).rejects.not.toThrow(StateUnavailableError)
  })

  test('rejects when no answer comes in time, and ignores one that comes late', async () => {
    const { resolve, promise } = Promise.withResolvers<boolean>()
    const { remote } = connect(
      fakeStore({ hasCompleteRecords: (bucket) => (bucket === 'late' ? promise : never()) }),
      { timeoutMs: 10 },
    )
    await expect(remote.hasCompleteRecords('late')).rejects.toThrow(StateUnavailableError)
    resolve(true)
    await expect(remote.hasCompleteRecords('b')).rejects.toThrow('does not answer')
  })

  test('refuses calls beyond the limit, and takes them again after answers', async () => {
    const { resolve, promise } = Promise.withResolvers<boolean>()
    const { remote } = connect(fakeStore({ hasCompleteRecords: () => promise }), { maxPending: 3 })
    const calls = [1, 2, 3].map(() => remote.hasCompleteRecords('b'))
    await expect(remote.hasCompleteRecords('b')).rejects.toThrow(StateUnavailableError)
    resolve(true)
    expect(await Promise.all(calls)).toEqual([true, true, true])
    expect(await remote.hasCompleteRecords('b')).toBe(true)
  })

  test('rejects open and later calls when the control process goes', async () => {
    const { remote, control } = connect(fakeStore({ hasCompleteRecords: never }))
    const open = Promise.allSettled([
      remote.hasCompleteRecords('b'),
      remote.hasCompleteRecords('b'),
    ])
    control.end()
    for (const result of await open) {
      expect(result).toEqual({ status: 'rejected', reason: expect.any(StateUnavailableError) })
    }
    await expect(remote.putUpload(upload)).rejects.toThrow('The control process is gone')
  })

  test('rejects everything if the control process was gone from the start', async () => {
    const [, worker] = channelPair()
    worker.end()
    await expect(new RemoteStateStore(worker).putUpload(upload)).rejects.toThrow('gone')
  })

  test('closes itself only', async () => {
    const { remote } = connect(fakeStore({ hasCompleteRecords: never }))
    const open = Promise.allSettled([remote.hasCompleteRecords('b')])
    await remote.close()
    expect((await open)[0]?.status).toBe('rejected')
    await expect(remote.hasCompleteRecords('b')).rejects.toThrow(StateUnavailableError)
  })

  test.each([
    null,
    'text',
    5,
    {},
    [],
    { kind: 'other', id: 0, result: true },
    { kind: 'state-reply', id: 99, result: true },
    { kind: 'state-request', id: 0, method: 'hasCompleteRecords', args: [] },
  ])('is not disturbed by the message %j', async (message) => {
    const { resolve, promise } = Promise.withResolvers<boolean>()
    const { remote, control } = connect(fakeStore({ hasCompleteRecords: () => promise }))
    const call = remote.hasCompleteRecords('b')
    control.send(message)
    setImmediate(() => setImmediate(() => resolve(false)))
    expect(await call).toBe(false)
  })

  test.each(['close', 'constructor', '__proto__', 'toString', 'nothing'])(
    'the control process refuses the method %s',
    async (method) => {
      const [control, worker] = channelPair()
      serveStateStore(fakeStore(), control)
      const reply = Promise.withResolvers<unknown>()
      worker.onMessage(reply.resolve)
      worker.send({ kind: 'state-request', id: 7, method, args: [] })
      expect(await reply.promise).toMatchObject({
        kind: 'state-reply',
        id: 7,
        unavailable: false,
        error: expect.stringContaining('Not a call'),
      })
    },
  )
})

describe('over the channel of Node processes', () => {
  const file = join(import.meta.dirname, 'worker-child.ts')
  const started: ChildProcess[] = []
  afterEach(() => {
    for (const child of started.splice(0)) child.kill('SIGKILL')
  })
  const forkWorker = () => {
    const child = fork(file, { execArgv: [] })
    started.push(child)
    return child
  }
  const forkClusterWorker = () => {
    cluster.setupPrimary({ exec: file, execArgv: [] })
    const { process: child } = cluster.fork()
    started.push(child)
    return child
  }

  test.each([
    ['node:cluster', forkClusterWorker],
    ['node:child_process', forkWorker],
  ])('a worker of %s reaches the store', async (_, start) => {
    const kept: unknown[] = []
    const child = start()
    serveStateStore(
      fakeStore({
        async putUpload(record) {
          kept.push(record)
        },
        findUploads: async () => new Map([['u', 'token']]),
        hasCompleteRecords: never,
      }),
      ipcChannel(child),
    )
    expect(await reportOf(child)).toEqual({ report: [['u', 'token']] })
    expect(kept).toEqual([upload])
  })

  test('a worker whose control process goes is told so', async () => {
    const child = forkWorker()
    serveStateStore(
      fakeStore({
        putUpload: async () => {},
        findUploads: async () => new Map(),
        hasCompleteRecords: never,
      }),
      ipcChannel(child),
    )
    await reportOf(child)
    const exit = once(child, 'exit')
    child.disconnect()
    // It exits with 7 when its open call is rejected as unavailable.
    expect(await exit).toEqual([7, null])
  })

  test('a control process that serves a dead worker is not disturbed', async () => {
    const answered = Promise.withResolvers<void>()
    const arrived = Promise.withResolvers<void>()
    const child = forkWorker()
    const store = fakeStore({
      async putUpload() {
        arrived.resolve()
        await answered.promise
      },
    })
    serveStateStore(store, ipcChannel(child))
    await arrived.promise
    const exit = once(child, 'exit')
    child.kill('SIGKILL')
    await exit
    answered.resolve()
    await new Promise((resolve) => setImmediate(resolve))
    expect(child.connected).toBe(false)
  })

  test('a peer without a channel counts as gone', async () => {
    const peer: IpcPeer = { connected: false, on: () => {}, once: () => {} }
    await expect(new RemoteStateStore(ipcChannel(peer)).putUpload(upload)).rejects.toThrow('gone')
  })
})

async function reportOf(child: ChildProcess): Promise<unknown> {
  for (;;) {
    const [message] = await once(child, 'message')
    if (typeof message === 'object' && message !== null && 'report' in message) return message
  }
}
