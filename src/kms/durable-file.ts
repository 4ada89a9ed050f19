import { randomBytes } from 'node:crypto'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'

/** The names that {@link writeDurably} gives to files that it hasn't finished. */
export const unfinishedName = /^\..+\.[0-9a-f]{16}\.tmp$/

/**
 * Puts `content` in place of `path` (mode 0600) so that a crash at any moment leaves either the
 * old or the new content, and that the new one stays once the promise is fulfilled.
 */
export async function writeDurably(path: string, content: string): Promise<void> {
  const suffix = randomBytes(8).toString('hex')
  const unfinished = join(dirname(path), `.${basename(path)}.${suffix}.tmp`)
  try {
    const file = await open(unfinished, 'wx', 0o600)
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(unfinished, path)
  } catch (error) {
    await rm(unfinished, { force: true })
    throw error
  }
  await syncDirectory(dirname(path))
}

/** Makes a folder of mode 0700 with its missing parents, and waits until the disk has them. */
export async function makeDirectoryDurably(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  const top = dirname(resolve(first))
  let directory = resolve(path)
  while (directory !== top) {
    await syncDirectory(directory)
    directory = dirname(directory)
  }
  await syncDirectory(top)
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
