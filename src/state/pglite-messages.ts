import type { Values } from './database.ts'

/** What the thread of the embedded database is started with. */
export interface ThreadSettings {
  /** Absolute; exists. */
  readonly folder: string
}

/** A statement for the thread; 'close' is the other message that it takes. */
export interface ThreadRequest {
  readonly id: number
  readonly text: string
  readonly values: Values
}

export type StatementAnswer =
  | { readonly id: number; readonly rows: unknown[] }
  | { readonly id: number; readonly error: string; readonly sqlState: string }

/** 'open' once, the answer to each statement, and why the thread ends by itself. */
export type ThreadAnswer = 'open' | StatementAnswer | { readonly ended: string }
