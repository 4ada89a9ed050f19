import type { StateChannel } from '../../src/state/channel.ts'

export interface ChannelEnd extends StateChannel {
  /** Ends the channel; both ends are told. */
  end(): void
}

class End implements ChannelEnd {
  peer: End | null = null
  readonly #messageListeners: ((message: unknown) => void)[] = []
  readonly #closeListeners: (() => void)[] = []
  #ended = false

  send(message: unknown): void {
    // As IPC does it: as text, and later.
    const text = JSON.stringify(message)
    setImmediate(() => this.peer?.receive(JSON.parse(text)))
  }

  onMessage(listener: (message: unknown) => void): void {
    this.#messageListeners.push(listener)
  }

  onClose(listener: () => void): void {
    if (this.#ended) listener()
    else this.#closeListeners.push(listener)
  }

  receive(message: unknown): void {
    if (!this.#ended) for (const listener of this.#messageListeners) listener(message)
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    for (const listener of this.#closeListeners) listener()
    this.peer?.end()
  }
}

/** Two ends of a channel inside one process. */
export function channelPair(): [ChannelEnd, ChannelEnd] {
  const [first, second] = [new End(), new End()]
  first.peer = second
  second.peer = first
  return [first, second]
}
