import { describe, expect, inject, test } from 'vitest'
import { serviceNames } from './services.ts'
import type { S3Service } from './services.ts'

/**
 * Declares the same tests for each S3 server. For a server that this machine lacks there is one
 * skipped test instead.
 */
export function describeEachService(title: string, declare: (service: S3Service) => void): void {
  const services = inject('services')
  for (const name of serviceNames) {
    const service = services[name]
    describe.skipIf(service === null)(`${title} (${name})`, () => {
      if (service === null) test(`needs ${name}`, () => expect.unreachable())
      else declare(service)
    })
  }
}
