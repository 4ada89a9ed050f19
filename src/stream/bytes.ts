/**
 * Receives what a {@link ByteSource} delivers. Calls never nest and never overlap; after `end` or
 * `error` no further call comes.
 */
export interface ByteReceiver {
  /** `bytes` is valid only during the call: whoever keeps it must copy it. */
  chunk(bytes: Buffer): void
  /** The source ended cleanly: all bytes have been delivered. */
  end(): void
  /** The source broke: what was delivered is a prefix, never the whole. */
  error(reason: Error): void
}

/** A body that arrives. Delivery starts with `deliver`, which is called once. */
export interface ByteSource {
  deliver(receiver: ByteReceiver): void
  pause(): void
  resume(): void
  /** Stops the source for good and gives its message up; the receiver hears nothing more. */
  abort(reason: Error): void
}

/**
 * Where a body goes. The sink owns buffers it was given until they are written. A sink of a known
 * size throws RangeError from `write` or `end` if the body has another.
 */
export interface ByteSink {
  /** Writes the buffers in order. False means full: wait for the drain callback before more. */
  write(buffers: readonly Buffer[]): boolean
  /** Sets the one callback that is called each time the sink has room again. */
  onDrain(callback: () => void): void
  /**
   * Sets the one callback that is called if the sink breaks (the other side is gone, or wants no
   * more); at once if it already has. It isn't called for `destroy`.
   */
  onError(callback: (reason: Error) => void): void
  /** Ends the body cleanly. */
  end(): void
  /** Breaks the body off so that the other side can't take it for a whole one. */
  destroy(reason: Error): void
}
