import { afterEach, describe, expect, test } from 'vitest'
import { pump, type Stage } from '../../src/stream/pump.ts'
import { closeExchanges, exchange, sinkOf, sourceOf } from '../support/http-exchange.ts'
import { until } from '../support/until.ts'
import { identityStage } from '../support/identity-stage.ts'

const idleTimeoutMs = 300
const forever = 60_000
const never = new AbortController().signal

afterEach(closeExchanges)

const put = (length: number): string =>
  `PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: ${length}\r\n\r\n`

describe('pump between connections', () => {
  /** Two connections, joined by a pump: what the uploader sends, the downloader gets. */
  async function joined(options: {
    size: number
    stage?: Stage
    signal?: AbortSignal
    timeoutMs?: number
  }) {
    const up = await exchange(put(options.size))
    const down = await exchange()
    down.response.writeHead(200, { 'content-length': String(options.size), connection: 'close' })
    const { timeoutMs = forever } = options
    const sink = sinkOf(down.response, { size: options.size, timeoutMs })
    const done = pump(sourceOf(up.request, timeoutMs), sink, options.stage ?? identityStage, {
      signal: options.signal ?? never,
    })
    done.catch(() => undefined)
    const got = { size: 0, isClosed: false }
    down.client.once('data', (head: Buffer) => {
      got.size -= head.indexOf('\r\n\r\n') + 4
    })
    down.client.on('data', (bytes: Buffer) => {
      got.size += bytes.length
    })
    down.client.on('close', () => {
      got.isClosed = true
    })
    return { uploader: up.client, downloader: down.client, ...up, down, done, got }
  }

  const size = 32 * 1024 * 1024

  test('keeps little in memory while the reader is slow, and delivers everything', async () => {
    const { uploader, downloader, down, done, got } = await joined({ size })
    downloader.pause()
    uploader.write(Buffer.alloc(size))
    let most = 0
    for (let i = 0; i < 20; i += 1) {
      // oxlint-disable-next-line no-await-in-loop -- watches over time
      await new Promise((resolve) => setTimeout(resolve, 10))
      most = Math.max(most, down.response.writableLength)
    }
    expect(most).toBeLessThan(1024 * 1024)
    downloader.resume()
    await done
    await until('everything is there', () => got.isClosed)
    expect(got.size).toBe(size)
  })

  const failures: readonly {
    name: string
    message: string | RegExp
    timeoutMs?: number
    stage?: Stage
    act: (run: Awaited<ReturnType<typeof joined>> & { abort: AbortController }) => void
  }[] = [
    {
      name: 'the uploader is gone',
      message: 'cut',
      act: ({ uploader }) => uploader.destroy(),
    },
    {
      name: 'the uploader stalls',
      message: 'stalled',
      timeoutMs: idleTimeoutMs,
      act: () => undefined,
    },
    {
      name: 'the downloader is gone',
      message: 'cut',
      act({ uploader, downloader }) {
        downloader.destroy()
        uploader.write(Buffer.alloc(1024 * 1024))
      },
    },
    {
      name: 'the downloader stalls',
      message: 'stalled',
      timeoutMs: idleTimeoutMs,
      act({ uploader, downloader }) {
        downloader.pause()
        uploader.write(Buffer.alloc(size - 5))
        setTimeout(() => downloader.resume(), 3 * idleTimeoutMs)
      },
    },
    {
      name: 'the stage fails at the end',
      message: 'bad end',
      stage: {
        ...identityStage,
        finish() {
          throw new Error('bad end')
        },
      },
      act: ({ uploader }) => uploader.write(Buffer.alloc(size - 5)),
    },
    {
      name: 'the stage loses the last byte',
      message: 'shorter',
      stage: {
        push: (bytes, out) => out.push(Buffer.from(bytes.subarray(1))),
        finish() {},
      },
      act: ({ uploader }) => uploader.write(Buffer.alloc(size - 5)),
    },
    {
      name: 'the signal aborts',
      message: 'given up',
      act: ({ abort }) => abort.abort(new Error('given up')),
    },
  ]

  test.each(failures)(
    'never ends the body when $name',
    async ({ message, act, stage, timeoutMs }) => {
      const abort = new AbortController()
      const run = await joined({
        size,
        signal: abort.signal,
        ...(stage && { stage }),
        ...(timeoutMs !== undefined && { timeoutMs }),
      })
      run.uploader.write('first')
      await until('the first bytes are there', () => run.got.size > 0)
      act({ ...run, abort })
      await expect(run.done).rejects.toThrow(message)
      await until('the download is over', () => run.got.isClosed || run.downloader.isPaused())
      expect(run.got.size).toBeLessThan(size)
      await until(
        'both messages are destroyed',
        () => run.down.response.destroyed && run.request.destroyed,
      )
    },
  )
})
