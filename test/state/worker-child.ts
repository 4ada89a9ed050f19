// A worker that uses the store of its control process, reports, and then waits for an answer.
import { ipcChannel } from '../../src/state/channel.ts'
import { StateUnavailableError } from '../../src/state/ports.ts'
import { RemoteStateStore } from '../../src/state/remote-state-store.ts'

const store = new RemoteStateStore(ipcChannel(process), { timeoutMs: 60_000 })
await store.putUpload({ bucket: 'b', key: 'k\0💥', backendUploadId: 'u', token: 't' })
process.send?.({ report: [...(await store.findUploads('b', ['u']))] })
try {
  await store.hasCompleteRecords('b')
} catch (error) {
  process.exit(error instanceof StateUnavailableError ? 7 : 8)
}
