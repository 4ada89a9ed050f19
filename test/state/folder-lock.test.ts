import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { FolderLockedError, lockFolder } from '../../src/state/folder-lock.ts'

let folder = ''
let path = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nebulaio-lock-'))
  path = join(folder, 'lock')
})
afterEach(() => rmSync(folder, { recursive: true }))

const heartbeatMs = 10
const lock = (onLost: (reason: Error) => void = () => {}) =>
  lockFolder(path, { onLost, heartbeatMs })
/** The fields of a real lock of this process, for a test to change. */
const lines = async () => {
  const unlock = await lock()
  const text = readFileSync(path, 'utf8')
  unlock()
  return text.split('\n')
}
const forge = async (changes: Readonly<Record<number, string>>) => {
  const forged = (await lines()).map((line, i) => changes[i] ?? line)
  writeFileSync(path, forged.join('\n'))
}
const [token, pid, pidSpace, startedAt, beat] = [0, 1, 2, 3, 4]

describe('the lock of a folder', () => {
  test('keeps others out until it is released, which leaves nothing behind', async () => {
    const unlock = await lock()
    await expect(lock()).rejects.toThrow(FolderLockedError)
    await expect(lock()).rejects.toThrow(`process ${process.pid}`)
    unlock()
    expect(readdirSync(folder)).toEqual([])
    const unlockAgain = await lock()
    unlockAgain()
  })

  test('is given to one of many that ask at once', async () => {
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => lock()))
    const unlocks = results.flatMap((result) =>
      result.status === 'fulfilled' ? [result.value] : [],
    )
    expect(unlocks).toHaveLength(1)
    unlocks[0]?.()
  })

  test('fails in a folder that does not exist', async () => {
    const missing = join(folder, 'missing', 'lock')
    await expect(lockFolder(missing, { onLost: () => {} })).rejects.toThrow('ENOENT')
  })

  test('of a process that was killed is taken over at once', async () => {
    const { pid: deadPid } = spawnSync('true')
    await forge({ [token]: 'dead', [pid]: `${deadPid}` })
    const unlock = await lock()
    expect(readFileSync(path, 'utf8')).not.toContain('dead')
    unlock()
    expect(readdirSync(folder)).toEqual([])
  })

  test('of an earlier process with this pid is taken over: containers restart with the same', async () => {
    await forge({ [token]: 'predecessor' })
    const unlock = await lock()
    unlock()
    expect(readdirSync(folder)).toEqual([])
  })

  test.skipIf(process.platform !== 'linux')('of a live process is not taken over', async () => {
    const other = spawn('sleep', ['60'])
    await once(other, 'spawn')
    const stat = readFileSync(`/proc/${other.pid}/stat`, 'utf8')
    const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
    await forge({ [token]: 'other', [pid]: `${other.pid}`, [startedAt]: start })
    await expect(lock()).rejects.toThrow(`process ${other.pid}`)
    other.kill()
    await once(other, 'exit')
  })

  test.skipIf(process.platform !== 'linux')(
    'of a live pid that began at another time is taken over',
    async () => {
      await forge({ [token]: 'old', [pid]: `${process.ppid}`, [startedAt]: '1' })
      const unlock = await lock()
      expect(readFileSync(path, 'utf8')).not.toContain('old')
      unlock()
    },
  )

  test('from another container or machine is taken over only when it shows no life', async () => {
    await forge({ [token]: 'elsewhere', [pidSpace]: 'another machine' })
    const text = readFileSync(path, 'utf8').split('\n')
    let count = 0
    const beating = setInterval(() => {
      writeFileSync(path, text.map((line, i) => (i === beat ? `${++count}` : line)).join('\n'))
    }, 5)
    await expect(lock()).rejects.toThrow('elsewhere')
    clearInterval(beating)
    const unlock = await lock()
    expect(readFileSync(path, 'utf8')).not.toContain('elsewhere')
    unlock()
  })

  test.each(['', 'x', '{}', 'a\n1\n'])(
    'that a crash cut off (%j) is taken over when it shows no life',
    async (text) => {
      writeFileSync(path, text)
      const unlock = await lock()
      unlock()
      expect(readdirSync(folder)).toEqual([])
    },
  )

  test('is shown to be alive by a beat', async () => {
    const unlock = await lock()
    const before = readFileSync(path, 'utf8')
    await expect.poll(() => readFileSync(path, 'utf8')).not.toBe(before)
    unlock()
  })

  test.each([
    ['taken by another', () => writeFileSync(path, 'other\n1\nelsewhere\n1\n0\n')],
    ['deleted', () => rmSync(path)],
  ])('reports once that it was %s, and then leaves the file alone', async (_, disturb) => {
    const onLost = vi.fn<(reason: Error) => void>()
    const unlock = await lock(onLost)
    disturb()
    await expect.poll(() => onLost.mock.calls.length).toBe(1)
    expect(onLost.mock.calls[0]?.[0]).toBeInstanceOf(FolderLockedError)
    const left = existsSync(path) ? readFileSync(path, 'utf8') : null
    unlock()
    expect(existsSync(path) ? readFileSync(path, 'utf8') : null).toBe(left)
  })
})
