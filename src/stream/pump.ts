import type { ByteSink, ByteSource } from './bytes.ts'

/** What happens to bytes on their way. Throwing breaks the transfer off. */
export interface Stage {
  /** Takes the next bytes, valid during the call only, and appends what goes on to `out`. */
  push(bytes: Buffer, out: Buffer[]): void
  /** All bytes have come: appends the rest. */
  finish(out: Buffer[]): void
}

/**
 * Moves a body from source to sink through a stage, no faster than the sink takes it. Resolves when
 * the end has been handed to the sink. On any failure, or when the signal aborts, the source is
 * aborted and the sink destroyed, so that the other side never sees a clean end, and it rejects.
 */
export function pump(
  source: ByteSource,
  sink: ByteSink,
  stage: Stage,
  options: { readonly signal: AbortSignal },
): Promise<void> {
  const { signal } = options
  return new Promise((resolve, reject) => {
    let isOver = false

    const finish = (settle: () => void): void => {
      isOver = true
      signal.removeEventListener('abort', onAbort)
      settle()
    }
    const fail = (reason: Error): void => {
      if (isOver) return
      finish(() => {
        source.abort(reason)
        sink.destroy(reason)
        reject(reason)
      })
    }
    const onAbort = (): void => fail(abortReason(signal))
    const write = (out: readonly Buffer[]): void => {
      if (out.length > 0 && !sink.write(out) && !isOver) source.pause()
    }
    const guard = (step: () => void): void => {
      if (isOver) return
      try {
        step()
      } catch (error) {
        fail(error instanceof Error ? error : new Error(String(error)))
      }
    }

    sink.onDrain(() => {
      if (!isOver) source.resume()
    })
    sink.onError(fail)
    if (signal.aborted) {
      onAbort()
      return
    }
    if (isOver) return
    signal.addEventListener('abort', onAbort)
    source.deliver({
      chunk: (bytes) =>
        guard(() => {
          const out: Buffer[] = []
          stage.push(bytes, out)
          write(out)
        }),
      end: () =>
        guard(() => {
          const out: Buffer[] = []
          stage.finish(out)
          write(out)
          if (isOver) return
          // A sink that refuses the end, since bytes are missing, must still be destroyed.
          sink.end()
          finish(resolve)
        }),
      error: fail,
    })
  })
}

/** Why a signal was aborted, as an error. */
export function abortReason(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error('aborted')
}
