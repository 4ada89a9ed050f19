import type { BackendClient } from '../backend/client.ts'
import type { ObjectKeys } from '../envelope/object-keys.ts'
import type { StateStore } from '../state/ports.ts'
import type { LayoutCache } from './layout-cache.ts'

/** What operations work with; one set for each process. */
export interface Services {
  readonly backend: BackendClient
  readonly keys: ObjectKeys
  readonly store: StateStore
  readonly layouts: LayoutCache
  /** Largest stored object that the backend copies in one request; 5 GiB with S3. */
  readonly maxCopySize: number
}
