import type { Stage } from '../../src/stream/pump.ts'

/** Copies bytes as they are. */
export const identityStage: Stage = {
  push(bytes, out) {
    out.push(Buffer.from(bytes))
  },
  finish() {},
}
