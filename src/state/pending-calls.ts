import { StateUnavailableError } from './ports.ts'

export interface PendingCallsOptions {
  /** Longest time for an answer. */
  readonly timeoutMs: number
  /** Calls that may be unanswered at once. */
  readonly maxPending: number
  /** Who answers, for messages. */
  readonly peer: string
}

export interface PendingCall<Answer> {
  readonly id: number
  /** Rejects with StateUnavailableError if no answer comes. */
  readonly answer: Promise<Answer>
}

interface Waiting<Answer> {
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: Error) => void
  readonly timer: NodeJS.Timeout
}

/** Pairs the answers of a process or thread with the calls that were sent to it. */
export class PendingCalls<Answer> {
  readonly #options: PendingCallsOptions
  readonly #waiting = new Map<number, Waiting<Answer>>()
  #nextId = 0
  #end: string | null = null

  constructor(options: PendingCallsOptions) {
    this.#options = options
  }

  /** Throws StateUnavailableError if too many calls are unanswered, or after `end`. */
  add(): PendingCall<Answer> {
    const { maxPending, peer, timeoutMs } = this.#options
    if (this.#end !== null) throw new StateUnavailableError(this.#end)
    if (this.#waiting.size >= maxPending) {
      throw new StateUnavailableError(`${peer} has not answered ${maxPending} calls`)
    }
    const id = this.#nextId++
    const answer = new Promise<Answer>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id)
        reject(new StateUnavailableError(`${peer} does not answer`))
      }, timeoutMs)
      this.#waiting.set(id, { resolve, reject, timer })
    })
    return { id, answer }
  }

  /** An answer that comes after its call has timed out finds nobody. */
  settle(id: number, answer: Answer): void {
    const waiting = this.#waiting.get(id)
    if (!waiting) return
    this.#waiting.delete(id)
    clearTimeout(waiting.timer)
    waiting.resolve(answer)
  }

  /** Rejects what is unanswered and all later calls. Only the first reason counts. */
  end(reason: string): void {
    this.#end ??= reason
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer)
      reject(new StateUnavailableError(this.#end))
    }
    this.#waiting.clear()
  }
}
