import type { StateChannel } from './channel.ts'
import {
  isStateReply,
  packLayout,
  unpackLayout,
  type StateCalls,
  type StateMethod,
  type StateReply,
  type StateRequest,
} from './messages.ts'
import { PendingCalls } from './pending-calls.ts'
import {
  StateUnavailableError,
  type LayoutRecord,
  type StateStore,
  type UploadRecord,
} from './ports.ts'

export interface RemoteStateStoreOptions {
  /** Longest time for an answer; longer than the control process itself waits for its database. */
  readonly timeoutMs?: number
  /** Calls that may be unanswered at once; more are refused. */
  readonly maxPending?: number
}

/**
 * A worker's view of the store that the control process serves over `channel`. Calls reject with
 * StateUnavailableError if no answer comes in time, if too many are unanswered, or if the control
 * process is gone. Closing it ends this view only.
 */
export class RemoteStateStore implements StateStore {
  readonly #channel: StateChannel
  readonly #pending: PendingCalls<StateReply>

  constructor(channel: StateChannel, options: RemoteStateStoreOptions = {}) {
    const { timeoutMs = 10_000, maxPending = 1_000 } = options
    this.#channel = channel
    this.#pending = new PendingCalls({ timeoutMs, maxPending, peer: 'The control process' })
    channel.onMessage((message) => {
      if (isStateReply(message)) this.#pending.settle(message.id, message)
    })
    channel.onClose(() => this.#pending.end('The control process is gone'))
  }

  async putUpload(record: UploadRecord): Promise<void> {
    await this.#call('putUpload', record)
  }

  async deleteUpload(bucket: string, backendUploadId: string): Promise<void> {
    await this.#call('deleteUpload', bucket, backendUploadId)
  }

  async findUploads(
    bucket: string,
    backendUploadIds: readonly string[],
  ): Promise<Map<string, string>> {
    return new Map(await this.#call('findUploads', bucket, backendUploadIds))
  }

  async putLayout(record: LayoutRecord): Promise<void> {
    await this.#call('putLayout', packLayout(record))
  }

  async setLayoutEtag(
    bucket: string,
    key: string,
    backendUploadId: string,
    etag: string,
  ): Promise<void> {
    await this.#call('setLayoutEtag', bucket, key, backendUploadId, etag)
  }

  async deleteLayouts(bucket: string, key: string): Promise<void> {
    await this.#call('deleteLayouts', bucket, key)
  }

  async findLayouts(bucket: string, keys: readonly string[]): Promise<LayoutRecord[]> {
    const layouts = await this.#call('findLayouts', bucket, keys)
    return layouts.map(unpackLayout)
  }

  hasCompleteRecords(bucket: string): Promise<boolean> {
    return this.#call('hasCompleteRecords', bucket)
  }

  async markRecordsComplete(bucket: string): Promise<void> {
    await this.#call('markRecordsComplete', bucket)
  }

  async forgetBucket(bucket: string): Promise<void> {
    await this.#call('forgetBucket', bucket)
  }

  async close(): Promise<void> {
    this.#pending.end('The state store is closed')
  }

  async #call<Method extends StateMethod>(
    method: Method,
    ...args: StateCalls[Method]['args']
  ): Promise<StateCalls[Method]['result']> {
    const { id, answer } = this.#pending.add()
    const request: StateRequest<Method> = { kind: 'state-request', id, method, args }
    this.#channel.send(request)
    const reply = await answer
    if ('result' in reply) return reply.result
    if (reply.unavailable) throw new StateUnavailableError(reply.error)
    throw new Error(reply.error)
  }
}
