// Puts an upload for each id that its parent sends, and answers when the store has.
import { openStateStore } from '../../src/state/state-store.ts'

export interface ChildAnswer {
  readonly id: string
  /** Name of the error; null if the row was acknowledged. */
  readonly error: string | null
}

const ignore = () => {}
const store = openStateStore({
  url: process.argv[2] ?? '',
  logger: { debug: ignore, info: ignore, warn: ignore, error: ignore },
  openWaitMs: 30_000,
  minRetryMs: 50,
})

async function put(id: string): Promise<ChildAnswer> {
  try {
    await store.putUpload({ bucket: 'b', key: id, backendUploadId: id, token: `token ${id}` })
    return { id, error: null }
  } catch (error) {
    return { id, error: error instanceof Error ? error.name : String(error) }
  }
}

process.on('message', (id: string) => {
  void put(id).then((answer) => process.send?.(answer))
})
