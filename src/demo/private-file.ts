import { rename, writeFile } from 'node:fs/promises'

/** Writes a file that only its owner can read, in one step: it is whole or unchanged. */
export async function writePrivate(path: string, content: string): Promise<void> {
  const draft = `${path}.${process.pid}.new`
  await writeFile(draft, content, { mode: 0o600, flag: 'wx' })
  await rename(draft, path)
}
