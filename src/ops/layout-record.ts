import { StateUnavailableError } from '../state/ports.ts'
import type { Layout } from '../stream/layout.ts'
import { packagePlainSize, type PlainBytes } from '../stream/sizes.ts'
import type { OperationContext } from './operation.ts'

export function partSizes(layout: Layout): PlainBytes[] {
  return Array.from({ length: layout.partCount }, (_, index) => layout.part(index + 1).size)
}

/**
 * True if the parts but the last aren't all of one size in whole packages: then neither sizes in
 * lists nor ranges follow from the stored size alone (`docs/format.md` §4.5).
 */
export function needsRecord(sizes: readonly PlainBytes[]): boolean {
  const inner = sizes.slice(0, -1)
  return inner.some((size) => size !== inner[0] || size % packagePlainSize !== 0)
}

/** For what the state store only makes cheaper: an outage is logged, not answered. */
export async function tolerateOutage(
  context: OperationContext,
  call: () => Promise<void>,
): Promise<void> {
  try {
    await call()
  } catch (error) {
    if (!(error instanceof StateUnavailableError)) throw error
    context.log.warn({ err: error }, 'state store unavailable')
  }
}
