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

interface Pending {
  readonly settle: (reply: StateReply) => void
  readonly fail: (error: Error) => void
}

/**
 * A worker's view of the store that the control process serves over `channel`. Calls reject with
 * StateUnavailableError if no answer comes in time, if too many are unanswered, or if the control
 * process is gone. Closing it ends this view only.
 */
export class RemoteStateStore implements StateStore {
  readonly #channel: StateChannel
  readonly #timeoutMs: number
  readonly #maxPending: number
  readonly #pending = new Map<number, Pending>()
  #nextId = 0
  #closed: string | null = null

  constructor(channel: StateChannel, options: RemoteStateStoreOptions = {}) {
    this.#channel = channel
    this.#timeoutMs = options.timeoutMs ?? 10_000
    this.#maxPending = options.maxPending ?? 1_000
    channel.onMessage((message) => {
      // The answer to a call that has timed out finds nobody.
      if (isStateReply(message)) this.#pending.get(message.id)?.settle(message)
    })
    channel.onClose(() => this.#end('The control process is gone'))
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
    this.#end('The state store is closed')
  }

  async #call<Method extends StateMethod>(
    method: Method,
    ...args: StateCalls[Method]['args']
  ): Promise<StateCalls[Method]['result']> {
    if (this.#closed !== null) throw new StateUnavailableError(this.#closed)
    if (this.#pending.size >= this.#maxPending) {
      throw new StateUnavailableError('Too many calls to the state store are unanswered')
    }
    const id = this.#nextId++
    const reply = this.#replyTo(id)
    const request: StateRequest<Method> = { kind: 'state-request', id, method, args }
    this.#channel.send(request)
    const answer = await reply
    if ('result' in answer) return answer.result
    if (answer.unavailable) throw new StateUnavailableError(answer.error)
    throw new Error(answer.error)
  }

  #replyTo(id: number): Promise<StateReply> {
    return new Promise<StateReply>((resolve, reject) => {
      const release = () => {
        clearTimeout(timer)
        this.#pending.delete(id)
      }
      const fail = (error: Error) => {
        release()
        reject(error)
      }
      const settle = (reply: StateReply) => {
        release()
        resolve(reply)
      }
      const timer = setTimeout(
        () => fail(new StateUnavailableError('The control process does not answer')),
        this.#timeoutMs,
      )
      this.#pending.set(id, { settle, fail })
    })
  }

  #end(reason: string): void {
    this.#closed ??= reason
    for (const { fail } of this.#pending.values()) fail(new StateUnavailableError(this.#closed))
  }
}
