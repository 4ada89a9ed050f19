import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { withFileLock } from '../../src/kms/file-lock.ts'

let folder: string
let path: string
const patient = { timeoutMs: 20_000 }

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'file-lock-'))
  path = join(folder, 'store.lock')
})

afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

/** Holds the lock until the returned function is called. */
async function hold(): Promise<() => Promise<void>> {
  let release = () => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  let holding: Promise<void> = Promise.resolve()
  await new Promise<void>((resolve) => {
    const task = async () => {
      resolve()
      await released
    }
    holding = withFileLock(path, task, patient)
  })
  return () => {
    release()
    return holding
  }
}

test('tasks run one after the other', async () => {
  let running = 0
  let most = 0
  const results = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      withFileLock(
        path,
        async () => {
          running += 1
          most = Math.max(most, running)
          await setImmediate()
          running -= 1
          return index
        },
        patient,
      ),
    ),
  )
  expect(most).toBe(1)
  expect(results).toEqual(Array.from({ length: 20 }, (_, index) => index))
})

test('a task that fails lets go', async () => {
  const failing = withFileLock(path, () => Promise.reject(new Error('no')), patient)
  await expect(failing).rejects.toThrow('no')
  expect(await withFileLock(path, () => Promise.resolve('next'), { timeoutMs: 0 })).toBe('next')
})

test('a lock that stays taken is named, and the task is not run', async () => {
  const release = await hold()
  let ran = false
  const task = async () => {
    ran = true
  }
  await expect(withFileLock(path, task, { timeoutMs: 50 })).rejects.toMatchObject({
    name: 'KeyStoreError',
    file: path,
  })
  await release()
  expect(ran).toBe(false)
})

test('an aborted wait rejects with its reason, and the task is not run', async () => {
  const release = await hold()
  const controller = new AbortController()
  const reason = new Error('the caller left')
  let ran = false
  const task = async () => {
    ran = true
  }
  const waiting = withFileLock(path, task, { ...patient, signal: controller.signal })
  controller.abort(reason)
  await expect(waiting).rejects.toBe(reason)
  await release()
  expect(ran).toBe(false)
})

test('leaves one empty file', async () => {
  await withFileLock(path, async () => {}, patient)
  expect(await readdir(folder)).toEqual(['store.lock'])
})

test.for([
  ['a folder', () => mkdir(path)],
  ['a file of something else', () => writeFile(path, 'x'.repeat(5000))],
] as const)('%s in its place is an error that names it', async ([, occupy]) => {
  await occupy()
  await expect(withFileLock(path, async () => {}, patient)).rejects.toMatchObject({
    name: 'KeyStoreError',
    file: path,
  })
})
