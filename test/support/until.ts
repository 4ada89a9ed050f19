import { setTimeout as sleep } from 'node:timers/promises'

/** Waits until a condition holds; rejects with `what` after ten seconds. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const end = performance.now() + 10_000
  while (!condition()) {
    if (performance.now() > end) throw new Error(`gave up waiting: ${what}`)
    await sleep(5)
  }
}
