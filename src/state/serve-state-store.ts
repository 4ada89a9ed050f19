import type { StateChannel } from './channel.ts'
import { errorText } from './error-text.ts'
import {
  isStateRequest,
  packLayout,
  unpackLayout,
  type StateCalls,
  type StateMethod,
  type StateReply,
  type StateRequest,
} from './messages.ts'
import { StateUnavailableError, type StateStore } from './ports.ts'

/**
 * Answers the calls that a RemoteStateStore at the other end of `channel` makes. The store stays the
 * caller's; once it is closed, the calls are answered as unavailable.
 */
export function serveStateStore(store: StateStore, channel: StateChannel): void {
  channel.onMessage((message) => {
    if (isStateRequest(message)) void answer(store, message).then((reply) => channel.send(reply))
  })
}

type Handlers = {
  readonly [Method in StateMethod]: (
    store: StateStore,
    ...args: StateCalls[Method]['args']
  ) => Promise<StateCalls[Method]['result']>
}

const handlers: Handlers = {
  putUpload: (store, record) => done(store.putUpload(record)),
  deleteUpload: (store, bucket, id) => done(store.deleteUpload(bucket, id)),
  findUploads: async (store, bucket, ids) => [...(await store.findUploads(bucket, ids))],
  putLayout: (store, layout) => done(store.putLayout(unpackLayout(layout))),
  setLayoutEtag: (store, ...args) => done(store.setLayoutEtag(...args)),
  deleteLayouts: (store, bucket, key) => done(store.deleteLayouts(bucket, key)),
  findLayouts: async (store, bucket, keys) =>
    (await store.findLayouts(bucket, keys)).map(packLayout),
  hasCompleteRecords: (store, bucket) => store.hasCompleteRecords(bucket),
  markRecordsComplete: (store, bucket) => done(store.markRecordsComplete(bucket)),
  forgetBucket: (store, bucket) => done(store.forgetBucket(bucket)),
}

async function done(work: Promise<void>): Promise<null> {
  await work
  return null
}

async function answer(store: StateStore, request: StateRequest): Promise<StateReply> {
  const { id } = request
  try {
    return { kind: 'state-reply', id, result: await call(store, request) }
  } catch (error) {
    const unavailable = error instanceof StateUnavailableError
    return { kind: 'state-reply', id, error: errorText(error), unavailable }
  }
}

async function call<Method extends StateMethod>(
  store: StateStore,
  { method, args }: StateRequest<Method>,
): Promise<StateCalls[Method]['result']> {
  if (!Object.hasOwn(handlers, method))
    throw new TypeError(`Not a call of the state store: ${method}`)
  return await handlers[method](store, ...args)
}
