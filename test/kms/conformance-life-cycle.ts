import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import type { KeyProvider, WrappedKey } from '../../src/kms/provider.ts'
import { KeyProviderError } from '../../src/kms/provider.ts'
import type { ConformanceSubject } from './conformance-subject.ts'
import { failure, here } from './conformance-subject.ts'

/** Versions: what each has wrapped stays readable, and under its own number only. */
export function describeRotation(subject: () => ConformanceSubject): void {
  test('unwraps what every version has wrapped, also after a restart', async ({ skip }) => {
    const { provider, kek, rotate, reopen } = subject()
    if (rotate === undefined) {
      skip('not a part of this service')
      return
    }
    const keys = [await provider.generateDataKey(kek, here)]
    for (let round = 0; round < 3; round += 1) {
      await rotate()
      await expectNewVersion(provider, kek, keys.at(-1)?.kekVersion)
      keys.push(await provider.generateDataKey(kek, here))
    }
    expect(new Set(keys.map(({ kekVersion }) => kekVersion)).size).toBe(4)
    const restarted = await reopen()
    try {
      for (const key of keys) {
        expect(await provider.unwrap(kek, key, here)).toEqual(key.plaintext)
        expect(await restarted.unwrap(kek, key, here)).toEqual(key.plaintext)
      }
    } finally {
      await restarted.close()
    }
  })

  test('rejects a key under another version than its own', async ({ skip }) => {
    const { provider, kek, rotate } = subject()
    if (rotate === undefined) {
      skip('not a part of this service')
      return
    }
    const before = await provider.generateDataKey(kek, here)
    await rotate()
    await expectNewVersion(provider, kek, before.kekVersion)
    const after = await provider.generateDataKey(kek, here)
    const swapped: WrappedKey[] = [
      { wrapped: before.wrapped, kekVersion: after.kekVersion },
      { wrapped: after.wrapped, kekVersion: before.kekVersion },
    ]
    for (const key of swapped) {
      await expect(provider.unwrap(kek, key, here)).rejects.toMatchObject({ code: 'REJECTED' })
    }
  })

  test('loses no call while it rotates', async ({ skip }) => {
    const { provider, kek, rotate } = subject()
    if (rotate === undefined) {
      skip('not a part of this service')
      return
    }
    const first = await provider.generateDataKey(kek, here)
    const rotating = Promise.all([rotate(), rotate(), rotate()])
    const keys = await Promise.all(
      Array.from({ length: 60 }, async (_, index) => {
        await new Promise((resolve) => setTimeout(resolve, index))
        const key = await provider.generateDataKey(kek, here)
        expect(await provider.unwrap(kek, key, here)).toEqual(key.plaintext)
        expect(await provider.unwrap(kek, first, here)).toEqual(first.plaintext)
        return key
      }),
    )
    await rotating
    for (const key of keys) {
      expect(await provider.unwrap(kek, key, here)).toEqual(key.plaintext)
    }
  })
}

/** Restart, disabling, abort and close. */
export function describeLifeCycle(subject: () => ConformanceSubject): void {
  test('unwraps after a restart', async () => {
    const { provider, kek, reopen } = subject()
    const dataKey = await provider.generateDataKey(kek, here)
    await provider.close()
    const restarted = await reopen()
    try {
      expect(await restarted.unwrap(kek, dataKey, here)).toEqual(dataKey.plaintext)
    } finally {
      await restarted.close()
    }
  })

  test('refuses a disabled key both ways, also after a restart', async ({ skip }) => {
    const { provider, kek, disable, reopen } = subject()
    if (disable === undefined) {
      skip('not a part of this service')
      return
    }
    const dataKey = await provider.generateDataKey(kek, here)
    await disable()
    const restarted = await reopen()
    try {
      for (const open of [provider, restarted]) {
        await expect.poll(async () => (await open.describe(kek)).enabled).toBe(false)
        const text = 'key is disabled'
        await expect(open.generateDataKey(kek, here)).rejects.toMatchObject(
          failure('DISABLED', text),
        )
        await expect(open.wrap(kek, randomBytes(32), here)).rejects.toMatchObject(
          failure('DISABLED', text),
        )
        await expect(open.unwrap(kek, dataKey, here)).rejects.toMatchObject(
          failure('DISABLED', text),
        )
      }
    } finally {
      await restarted.close()
    }
  })

  test('an aborted call rejects with the reason of its signal', async () => {
    const { provider, kek } = subject()
    const dataKey = await provider.generateDataKey(kek, here)
    const reason = new Error('the caller left')
    const aborted = AbortSignal.abort(reason)
    await expect(provider.generateDataKey(kek, here, aborted)).rejects.toBe(reason)
    await expect(provider.wrap(kek, dataKey.plaintext, here, aborted)).rejects.toBe(reason)
    await expect(provider.unwrap(kek, dataKey, here, aborted)).rejects.toBe(reason)
    await expect(provider.describe(kek, aborted)).rejects.toBe(reason)
  })

  test('closing lets the calls under way finish and refuses later ones', async () => {
    const { provider, kek, reopen } = subject()
    const underWay = Array.from({ length: 20 }, () => provider.generateDataKey(kek, here))
    await Promise.all([provider.close(), provider.close()])
    const keys = await Promise.all(underWay)
    await expect(provider.generateDataKey(kek, here)).rejects.toMatchObject(
      failure('CONNECT', 'provider is closed'),
    )
    await expect(provider.describe(kek)).rejects.toBeInstanceOf(KeyProviderError)
    const restarted = await reopen()
    try {
      for (const key of keys) {
        expect(await restarted.unwrap(kek, key, here)).toEqual(key.plaintext)
      }
    } finally {
      await restarted.close()
    }
  })
}

async function expectNewVersion(provider: KeyProvider, kek: string, before: string | undefined) {
  await expect
    .poll(async () => (await provider.describe(kek)).currentVersion, { timeout: 10_000 })
    .not.toBe(before)
}
