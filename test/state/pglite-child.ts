// Puts an upload for each id that its parent sends, and answers when the store has.
import { openStateStore } from '../../src/state/state-store.ts'

export interface ChildAnswer {
  readonly id: string
  /** Name of the error; null if the row was acknowledged. */
  readonly error: string | null
  /** Why the store was lost so far. */
  readonly losses: readonly unknown[]
}

const ignore = () => {}
const losses: unknown[] = []
const store = openStateStore({
  url: process.argv[2] ?? '',
  logger: { debug: ignore, info: ignore, warn: ({ reason }) => losses.push(reason), error: ignore },
  openWaitMs: 30_000,
  minRetryMs: 50,
})

async function put(id: string): Promise<ChildAnswer> {
  try {
    await store.putUpload({ bucket: 'b', key: id, backendUploadId: id, token: `token ${id}` })
    return { id, error: null, losses }
  } catch (error) {
    return { id, error: error instanceof Error ? error.name : String(error), losses }
  }
}

process.on('message', (id: string) => {
  void put(id).then((answer) => process.send?.(answer))
})
process.on('disconnect', () => process.exit())
