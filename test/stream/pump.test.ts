import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import type { ByteReceiver, ByteSink, ByteSource } from '../../src/stream/bytes.ts'
import { pump, type Stage } from '../../src/stream/pump.ts'
import { identityStage } from '../support/identity-stage.ts'

/** A source that does what the test says, and keeps what was asked of it. */
class ManualSource implements ByteSource {
  receiver: ByteReceiver | null = null
  readonly calls: string[] = []

  deliver(receiver: ByteReceiver): void {
    this.receiver = receiver
  }

  pause(): void {
    this.calls.push('pause')
  }

  resume(): void {
    this.calls.push('resume')
  }

  abort(reason: Error): void {
    this.calls.push(`abort ${reason.message}`)
  }

  give(text: string): void {
    this.receiver?.chunk(Buffer.from(text))
  }
}

class ManualSink implements ByteSink {
  readonly calls: string[] = []
  hasRoom = true
  drained: () => void = () => undefined
  failed: (reason: Error) => void = () => undefined
  #broken: Error | null
  readonly #endError: Error | null

  constructor(options: { broken?: Error; endError?: Error } = {}) {
    this.#broken = options.broken ?? null
    this.#endError = options.endError ?? null
  }

  write(buffers: readonly Buffer[]): boolean {
    this.calls.push(`write ${Buffer.concat(buffers).toString()}`)
    return this.hasRoom
  }

  onDrain(callback: () => void): void {
    this.drained = callback
  }

  onError(callback: (reason: Error) => void): void {
    this.failed = callback
    if (this.#broken) callback(this.#broken)
  }

  end(): void {
    if (this.#endError) throw this.#endError
    this.calls.push('end')
  }

  destroy(reason: Error): void {
    this.calls.push(`destroy ${reason.message}`)
  }
}

/** Upper case with a tail, and a fault where it is told to have one. */
function shout(fault: 'push' | 'finish' | null = null): Stage {
  return {
    push(bytes, out) {
      out.push(Buffer.from(bytes.toString().toUpperCase()))
      if (fault === 'push') throw new Error('bad bytes')
    },
    finish(out) {
      out.push(Buffer.from('!'))
      if (fault === 'finish') throw new Error('bad end')
    },
  }
}

function start(options: { stage?: Stage; sink?: ManualSink; signal?: AbortSignal } = {}) {
  const source = new ManualSource()
  const sink = options.sink ?? new ManualSink()
  const signal = options.signal ?? new AbortController().signal
  const done = pump(source, sink, options.stage ?? shout(), { signal })
  done.catch(() => undefined)
  return { source, sink, signal, done }
}

/** Nothing that comes late may do anything. */
function poke({ source, sink }: { source: ManualSource; sink: ManualSink }): void {
  source.give('late')
  source.receiver?.end()
  source.receiver?.error(new Error('late'))
  sink.drained()
  sink.failed(new Error('late'))
}

describe('pump', () => {
  test('moves a body through its stage and ends the sink after the stage has finished', async () => {
    const run = start()
    run.source.give('ab')
    run.source.give('c')
    run.source.receiver?.end()
    await run.done
    expect(run.sink.calls).toEqual(['write AB', 'write C', 'write !', 'end'])
    expect(run.source.calls).toEqual([])
    poke(run)
    expect(run.sink.calls).toHaveLength(4)
    expect(run.source.calls).toEqual([])
    expect(getEventListeners(run.signal, 'abort')).toHaveLength(0)
  })

  test('copies what the source owns', async () => {
    const sink = new ManualSink()
    const kept: Buffer[] = []
    sink.write = (buffers) => {
      kept.push(...buffers)
      return true
    }
    const { source, done } = start({ sink, stage: identityStage })
    const bytes = Buffer.from('abc')
    source.receiver?.chunk(bytes)
    bytes.fill(0)
    source.receiver?.end()
    await done
    expect(Buffer.concat(kept).toString()).toBe('abc')
  })

  test('pauses the source while the sink is full', () => {
    const { source, sink } = start()
    sink.hasRoom = false
    source.give('a')
    expect(source.calls).toEqual(['pause'])
    sink.drained()
    expect(source.calls).toEqual(['pause', 'resume'])
  })

  test('writes nothing for bytes that the stage keeps', () => {
    const { source, sink } = start({ stage: { push() {}, finish() {} } })
    source.give('a')
    expect(sink.calls).toEqual([])
  })

  const faults: readonly {
    name: string
    message: string
    options?: () => Parameters<typeof start>[0]
    act: (run: ReturnType<typeof start>) => void
  }[] = [
    {
      name: 'the source breaks',
      message: 'cut',
      act: ({ source }) => source.receiver?.error(new Error('cut')),
    },
    {
      name: 'the stage refuses bytes',
      message: 'bad bytes',
      options: () => ({ stage: shout('push') }),
      act: ({ source }) => source.give('b'),
    },
    {
      name: 'the stage refuses the end',
      message: 'bad end',
      options: () => ({ stage: shout('finish') }),
      act: ({ source }) => source.receiver?.end(),
    },
    {
      name: 'the sink refuses the end',
      message: 'too short',
      options: () => ({ sink: new ManualSink({ endError: new Error('too short') }) }),
      act: ({ source }) => source.receiver?.end(),
    },
    {
      name: 'the sink breaks',
      message: 'gone',
      act: ({ sink }) => sink.failed(new Error('gone')),
    },
    {
      name: 'the sink breaks while the source is paused',
      message: 'gone',
      act({ source, sink }) {
        sink.hasRoom = false
        source.give('a')
        sink.failed(new Error('gone'))
      },
    },
  ]

  test.each(faults)(
    'gives up both sides without an end when $name',
    async ({ message, options, act }) => {
      const run = start(options?.())
      act(run)
      await expect(run.done).rejects.toThrow(message)
      expect(run.sink.calls.at(-1)).toBe(`destroy ${message}`)
      expect(run.sink.calls).not.toContain('end')
      expect(run.source.calls.at(-1)).toBe(`abort ${message}`)
      const calls = [run.sink.calls.length, run.source.calls.length]
      poke(run)
      expect([run.sink.calls.length, run.source.calls.length]).toEqual(calls)
      expect(getEventListeners(run.signal, 'abort')).toHaveLength(0)
    },
  )

  test('lets no output of a failed step out', async () => {
    const { source, sink, done } = start({ stage: shout('push') })
    source.give('secret')
    await expect(done).rejects.toThrow('bad bytes')
    expect(sink.calls).toEqual(['destroy bad bytes'])
  })

  test('turns what is thrown into an error', async () => {
    const stage: Stage = {
      push() {
        // oxlint-disable-next-line no-throw-literal, only-throw-error -- what a bug may throw
        throw 'text'
      },
      finish() {},
    }
    const { source, done } = start({ stage })
    source.give('a')
    await expect(done).rejects.toThrow('text')
  })

  test('starts nothing if the signal is aborted already', async () => {
    const run = start({ signal: AbortSignal.abort(new Error('early')) })
    await expect(run.done).rejects.toThrow('early')
    expect(run.source.receiver).toBeNull()
    expect(run.source.calls).toEqual(['abort early'])
    expect(run.sink.calls).toEqual(['destroy early'])
  })

  test.each([
    { reason: new Error('late'), message: 'late' },
    { reason: 'no error at all', message: 'aborted' },
  ])('gives up both sides when the signal aborts with $reason', async ({ reason, message }) => {
    const controller = new AbortController()
    const run = start({ signal: controller.signal })
    run.source.give('a')
    controller.abort(reason)
    await expect(run.done).rejects.toThrow(message)
    expect(run.source.calls).toEqual([`abort ${message}`])
    expect(run.sink.calls).toEqual(['write A', `destroy ${message}`])
    poke(run)
    expect(run.sink.calls).toHaveLength(2)
  })

  test('starts nothing if the sink is broken already', async () => {
    const run = start({ sink: new ManualSink({ broken: new Error('gone') }) })
    await expect(run.done).rejects.toThrow('gone')
    expect(run.source.receiver).toBeNull()
    expect(run.source.calls).toEqual(['abort gone'])
    expect(getEventListeners(run.signal, 'abort')).toHaveLength(0)
  })
})
