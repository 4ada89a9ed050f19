import { closeSync, fsyncSync, openSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { NodeFS } from '@electric-sql/pglite/nodefs'

/** The part of Emscripten's NODEFS that is completed here. */
interface StreamOperations {
  fsync?(stream: { readonly nfd: number }): number
}

/** PGlite's folder on disk, with the fsync that Emscripten's NODEFS leaves out (it just answers "done"). */
export class SyncedNodeFs extends NodeFS {
  override async init(
    ...[pglite, options]: Parameters<NodeFS['init']>
  ): ReturnType<NodeFS['init']> {
    const { emscriptenOpts } = await super.init(pglite, options)
    const addFsync: (typeof preRun)[number] = (module) => {
      const operations: StreamOperations = module.NODEFS.stream_ops
      operations.fsync = ({ nfd }) => {
        fsyncSync(nfd)
        return 0
      }
    }
    const preRun = emscriptenOpts.preRun ?? []
    return { emscriptenOpts: { ...emscriptenOpts, preRun: [...preRun, addFsync] } }
  }
}

/** Flushes a folder and all that is in it to the disk. */
export function syncTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) syncTree(path)
    else if (entry.isFile()) syncEntry(path)
  }
  syncEntry(folder)
}

/** Flushes one file, or the list of names in one folder, to the disk. */
export function syncEntry(path: string): void {
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
