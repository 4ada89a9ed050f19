import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import type { Database, OnLost } from '../../src/state/database.ts'
import { NewerSchemaError } from '../../src/state/migrate.ts'
import { StateUnavailableError } from '../../src/state/ports.ts'
import { SupervisedDatabase } from '../../src/state/supervised-database.ts'
import { RecordingLogger } from './recording-logger.ts'

/** A database whose only row is its number; `failure` makes its queries fail. */
class FakeDatabase implements Database {
  readonly number: number
  failure: Error | null = null
  closes = 0
  closeFailure: Error | null = null

  constructor(number: number) {
    this.number = number
  }

  async query<Row>(): Promise<Row[]> {
    if (this.failure) throw this.failure
    return [this.number as Row]
  }

  transaction<Result>(): Promise<Result> {
    return Promise.reject(new Error('not used'))
  }

  async close(): Promise<void> {
    this.closes++
    if (this.closeFailure) throw this.closeFailure
  }
}

interface Attempt {
  readonly database: FakeDatabase
  readonly onLost: OnLost
  readonly succeed: () => void
  readonly fail: (error: Error) => void
}

const opened: SupervisedDatabase[] = []
afterEach(async () => {
  for (const database of opened.splice(0)) await database.close()
})

/** Attempts stay open until the test decides about them. */
function supervise({ openWaitMs = 5_000, minRetryMs = 1 } = {}) {
  const attempts: Attempt[] = []
  const logger = new RecordingLogger()
  let isOver = false
  const open = (onLost: OnLost) =>
    new Promise<Database>((resolve, reject) => {
      const database = new FakeDatabase(attempts.length)
      const succeed = () => resolve(database)
      attempts.push({ database, onLost, succeed, fail: reject })
      if (isOver) reject(new Error('the test is over'))
    })
  const database = new SupervisedDatabase(open, { logger, openWaitMs, minRetryMs, maxRetryMs: 20 })
  opened.push(database)
  const attempt = async (number: number): Promise<Attempt> => {
    await expect.poll(() => attempts.length, { interval: 1 }).toBeGreaterThan(number)
    const found = attempts[number]
    if (!found) throw new Error(`no attempt ${number}`)
    return found
  }
  const end = () => {
    isOver = true
    for (const { fail } of attempts) fail(new Error('the test is over'))
  }
  return { database, attempts, attempt, logger, end }
}

const outage = new StateUnavailableError('outage')

describe('a supervised database', () => {
  test('lets queries wait for the first attempt, and ready too', async () => {
    const { database, attempt } = supervise()
    expect(database.health()).toBe('opening')
    const rows = database.query('select')
    const ready = database.ready()
    ;(await attempt(0)).succeed()
    await ready
    expect(await rows).toEqual([0])
    expect(database.health()).toBe('ready')
  })

  test('lets no query wait longer than it may', async () => {
    const { database, attempts, end } = supervise({ openWaitMs: 5 })
    await expect(database.query('select')).rejects.toThrow(StateUnavailableError)
    expect(database.health()).toBe('opening')
    expect(attempts).toHaveLength(1)
    end()
  })

  test('rejects waiting queries when the first attempt fails, and later ones at once', async () => {
    const { database, attempt, end } = supervise()
    const waiting = database.query('select')
    ;(await attempt(0)).fail(new Error('no route'))
    await expect(waiting).rejects.toThrow(StateUnavailableError)
    expect(database.health()).toBe('unavailable')
    await attempt(1)
    expect(database.health()).toBe('unavailable')
    await expect(database.query('select')).rejects.toThrow(StateUnavailableError)
    end()
  })

  test('tries again until it is open, with longer pauses up to the limit', async () => {
    const { database, attempt, logger } = supervise({ minRetryMs: 8 })
    const ready = database.ready()
    for (const number of [0, 1, 2, 3]) (await attempt(number)).fail(new Error('no route'))
    ;(await attempt(4)).succeed()
    await ready
    expect(await database.query('select')).toEqual([4])
    expect(logger.lines.map(({ fields }) => fields)).toEqual(
      [8, 16, 20, 20].map((retryMs) => ({ reason: 'no route', retryMs })),
    )
  })

  test('reopens after a query has met an outage, and closes the lost database', async () => {
    const { database, attempt } = supervise()
    const first = await attempt(0)
    first.succeed()
    await database.ready()
    first.database.failure = outage
    await expect(database.query('select')).rejects.toThrow(outage)
    expect(database.health()).toBe('opening')
    const waiting = database.query('select')
    ;(await attempt(1)).succeed()
    expect(await waiting).toEqual([1])
    expect(first.database.closes).toBe(1)
  })

  test('reopens although the lost database does not close', async () => {
    const { database, attempt, logger } = supervise()
    const first = await attempt(0)
    first.succeed()
    await database.ready()
    first.database.closeFailure = new Error('stuck')
    first.onLost(new Error('connection reset'))
    ;(await attempt(1)).succeed()
    await database.ready()
    expect(logger.lines.map(({ fields }) => fields['reason'])).toEqual([
      'connection reset',
      'stuck',
    ])
  })

  test('keeps the database when it refuses a statement', async () => {
    const { database, attempt, attempts } = supervise()
    const first = await attempt(0)
    first.succeed()
    await database.ready()
    first.database.failure = new Error('syntax error')
    await expect(database.query('selct')).rejects.toThrow('syntax error')
    expect(database.health()).toBe('ready')
    first.database.failure = null
    expect(await database.query('select')).toEqual([0])
    expect(attempts).toHaveLength(1)
  })

  test('reopens once, however many queries meet the outage and however often it is reported', async () => {
    const { database, attempt, attempts } = supervise()
    const first = await attempt(0)
    first.succeed()
    await database.ready()
    first.database.failure = outage
    await Promise.allSettled(Array.from({ length: 10 }, () => database.query('select')))
    ;(await attempt(1)).succeed()
    await database.ready()
    first.onLost(new Error('again'))
    await sleep(20)
    expect(database.health()).toBe('ready')
    expect(attempts).toHaveLength(2)
    expect(first.database.closes).toBe(1)
  })

  test('does not use a database that was lost before it was open', async () => {
    const { database, attempt } = supervise()
    const first = await attempt(0)
    first.onLost(new Error('lock lost'))
    first.succeed()
    const second = await attempt(1)
    expect(first.database.closes).toBe(1)
    second.succeed()
    await database.ready()
    expect(await database.query('select')).toEqual([1])
  })

  test('gives up for good on a newer schema', async () => {
    const { database, attempt, attempts } = supervise()
    const ready = Promise.allSettled([database.ready()])
    const newer = new NewerSchemaError('newer')
    ;(await attempt(0)).fail(newer)
    expect(await ready).toEqual([{ status: 'rejected', reason: newer }])
    await expect(database.ready()).rejects.toThrow(newer)
    await expect(database.query('select')).rejects.toThrow(StateUnavailableError)
    await sleep(20)
    expect(attempts).toHaveLength(1)
    expect(database.health()).toBe('unavailable')
  })

  describe('when closed', () => {
    test('closes the database and rejects queries and ready', async () => {
      const { database, attempt } = supervise()
      const first = await attempt(0)
      first.succeed()
      await database.ready()
      await database.close()
      await database.close()
      expect(first.database.closes).toBe(1)
      expect(database.health()).toBe('unavailable')
      await expect(database.query('select')).rejects.toThrow(StateUnavailableError)
      await expect(database.ready()).rejects.toThrow('closed')
    })

    test('waits for the attempt under way and closes what it opens', async () => {
      const { database, attempt } = supervise()
      const first = await attempt(0)
      const ready = Promise.allSettled([database.ready()])
      const closing = database.close()
      first.succeed()
      await closing
      await ready
      expect(first.database.closes).toBe(1)
      await expect(database.query('select')).rejects.toThrow(StateUnavailableError)
    })

    test('ends a pause between attempts, and ready with it', async () => {
      const { database, attempt, attempts } = supervise({ minRetryMs: 60_000 })
      const ready = Promise.allSettled([database.ready()])
      ;(await attempt(0)).fail(new Error('no route'))
      await expect.poll(() => database.health()).toBe('unavailable')
      await database.close()
      expect((await ready)[0]?.status).toBe('rejected')
      expect(attempts).toHaveLength(1)
    })
  })
})
