import { marshalPartSizes, parsePartSizes } from './part-sizes.ts'
import type { LayoutRecord, UploadRecord } from './ports.ts'

/** A layout as it travels: the part sizes as marshalPartSizes writes them. */
export type WireLayout = Omit<LayoutRecord, 'partSizes'> & { readonly partSizes: string }

/** The port methods as they travel: arguments and results are plain JSON. */
export interface StateCalls {
  putUpload: { args: [record: UploadRecord]; result: null }
  deleteUpload: { args: [bucket: string, backendUploadId: string]; result: null }
  findUploads: {
    args: [bucket: string, backendUploadIds: readonly string[]]
    result: [backendUploadId: string, token: string][]
  }
  putLayout: { args: [record: WireLayout]; result: null }
  setLayoutEtag: {
    args: [bucket: string, key: string, backendUploadId: string, etag: string]
    result: null
  }
  deleteLayouts: { args: [bucket: string, key: string]; result: null }
  findLayouts: { args: [bucket: string, keys: readonly string[]]; result: WireLayout[] }
  hasCompleteRecords: { args: [bucket: string]; result: boolean }
  markRecordsComplete: { args: [bucket: string]; result: null }
  forgetBucket: { args: [bucket: string]; result: null }
}

export type StateMethod = keyof StateCalls

/** A worker's call of one method. */
export interface StateRequest<Method extends StateMethod = StateMethod> {
  readonly kind: 'state-request'
  readonly id: number
  readonly method: Method
  readonly args: StateCalls[Method]['args']
}

/** The answer to the request with the same id. */
export type StateReply = { readonly kind: 'state-reply'; readonly id: number } & (
  | { readonly result: StateCalls[StateMethod]['result'] }
  | { readonly error: string; readonly unavailable: boolean }
)

export function isStateRequest(message: unknown): message is StateRequest {
  return kindOf(message) === 'state-request'
}

export function isStateReply(message: unknown): message is StateReply {
  return kindOf(message) === 'state-reply'
}

export function packLayout(record: LayoutRecord): WireLayout {
  return { ...record, partSizes: marshalPartSizes(record.partSizes) }
}

export function unpackLayout(layout: WireLayout): LayoutRecord {
  return { ...layout, partSizes: parsePartSizes(layout.partSizes) }
}

function kindOf(message: unknown): unknown {
  return typeof message === 'object' && message !== null && 'kind' in message ? message.kind : null
}
