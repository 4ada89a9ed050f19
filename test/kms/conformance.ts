import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { KeyProviderError } from '../../src/kms/provider.ts'
import { selfTest } from '../../src/kms/self-test.ts'
import { describeLifeCycle, describeRotation } from './conformance-life-cycle.ts'
import type { ConformanceSubject } from './conformance-subject.ts'
import { failure, here } from './conformance-subject.ts'

const elsewhere = { bucket: 'pii-dat' }

/** The contract of src/kms/provider.ts, as tests that every provider has to pass. */
export function describeKeyProvider(name: string, setup: () => Promise<ConformanceSubject>): void {
  describe(`${name} as a key provider`, () => {
    let subject: ConformanceSubject

    beforeEach(async () => {
      subject = await setup()
    })

    afterEach(async () => {
      await subject.cleanUp()
    })

    describeRoundTrips(() => subject)
    describeRejections(() => subject)
    describeRotation(() => subject)
    describeLifeCycle(() => subject)
  })
}

function describeRoundTrips(subject: () => ConformanceSubject): void {
  test('gives data keys of 32 random bytes and unwraps them', async () => {
    const { provider, kek } = subject()
    const first = await provider.generateDataKey(kek, here)
    const second = await provider.generateDataKey(kek, here)
    expect(first.plaintext).toHaveLength(32)
    expect(new Set(first.plaintext).size).toBeGreaterThan(7)
    expect(first.plaintext.equals(second.plaintext)).toBe(false)
    expect(first.wrapped.includes(first.plaintext)).toBe(false)
    expect(await provider.unwrap(kek, first, here)).toEqual(first.plaintext)
    expect(await provider.unwrap(kek, second, here)).toEqual(second.plaintext)
  })

  test('wraps a given key and leaves it as it was', async () => {
    const { provider, kek } = subject()
    const plaintext = randomBytes(32)
    const given = Buffer.from(plaintext)
    const wrapped = await provider.wrap(kek, given, here)
    expect(given).toEqual(plaintext)
    expect(await provider.unwrap(kek, wrapped, here)).toEqual(plaintext)
  })

  test('hands out buffers that the caller may zero', async () => {
    const { provider, kek } = subject()
    const dataKey = await provider.generateDataKey(kek, here)
    const expected = Buffer.from(dataKey.plaintext)
    dataKey.plaintext.fill(0)
    const unwrapped = await provider.unwrap(kek, dataKey, here)
    expect(unwrapped).toEqual(expected)
    unwrapped.fill(0)
    expect(await provider.unwrap(kek, dataKey, here)).toEqual(expected)
  })

  test('binds any bucket name, whatever its characters', async () => {
    const { provider, kek } = subject()
    for (const bucket of ['a.b-c', 'xn--bcher-kva', 'b'.repeat(63)]) {
      const dataKey = await provider.generateDataKey(kek, { bucket })
      expect(await provider.unwrap(kek, dataKey, { bucket })).toEqual(dataKey.plaintext)
    }
  })

  test('describes the version that it wraps with', async () => {
    const { provider, kek } = subject()
    const { enabled, currentVersion } = await provider.describe(kek)
    expect(enabled).toBe(true)
    expect((await provider.generateDataKey(kek, here)).kekVersion).toBe(currentVersion)
    expect((await provider.wrap(kek, randomBytes(32), here)).kekVersion).toBe(currentVersion)
  })

  test('passes the start-up self-test', async () => {
    const { provider, kek } = subject()
    await expect(selfTest(provider, kek)).resolves.toBeUndefined()
  })
}

function describeRejections(subject: () => ConformanceSubject): void {
  const rejected = 'decryption failed: ciphertext rejected'

  test('rejects another context', async () => {
    const { provider, kek } = subject()
    const dataKey = await provider.generateDataKey(kek, here)
    const wrapped = await provider.wrap(kek, randomBytes(32), here)
    for (const key of [dataKey, wrapped]) {
      await expect(provider.unwrap(kek, key, elsewhere)).rejects.toMatchObject(
        failure('REJECTED', rejected),
      )
      await expect(provider.unwrap(kek, key, { bucket: '' })).rejects.toMatchObject(
        failure('REJECTED', rejected),
      )
    }
  })

  test('rejects a change of any byte', async () => {
    const { provider, kek } = subject()
    const { wrapped, kekVersion } = await provider.generateDataKey(kek, here)
    for (let index = 0; index < wrapped.length; index += 1) {
      const tampered = Buffer.from(wrapped)
      tampered.writeUInt8(tampered.readUInt8(index) ^ 1, index)
      const unwrapping = provider.unwrap(kek, { wrapped: tampered, kekVersion }, here)
      await expect(unwrapping).rejects.toMatchObject(failure('REJECTED', rejected))
    }
  })

  test('rejects bytes that are cut, extended or none', async () => {
    const { provider, kek } = subject()
    const { wrapped, kekVersion } = await provider.generateDataKey(kek, here)
    const changed = [
      wrapped.subarray(0, -1),
      wrapped.subarray(1),
      Buffer.concat([wrapped, Buffer.alloc(1)]),
      Buffer.concat([wrapped, wrapped]),
      Buffer.alloc(0),
      Buffer.alloc(wrapped.length),
    ]
    for (const bytes of changed) {
      const unwrapping = provider.unwrap(kek, { wrapped: bytes, kekVersion }, here)
      await expect(unwrapping).rejects.toMatchObject(failure('REJECTED', rejected))
    }
  })

  test.for([0, 16, 31, 33, 64])('refuses to wrap a key of %i bytes', async (size) => {
    const { provider, kek } = subject()
    await expect(provider.wrap(kek, randomBytes(size), here)).rejects.toBeInstanceOf(
      KeyProviderError,
    )
  })

  test('names a key that is not there', async () => {
    const { provider, kek, missingKek } = subject()
    const dataKey = await provider.generateDataKey(kek, here)
    const text = `key not found: ${missingKek}`
    await expect(provider.generateDataKey(missingKek, here)).rejects.toMatchObject(
      failure('NOT_FOUND', text),
    )
    await expect(provider.wrap(missingKek, randomBytes(32), here)).rejects.toMatchObject(
      failure('NOT_FOUND', text),
    )
    await expect(provider.unwrap(missingKek, dataKey, here)).rejects.toMatchObject(
      failure('NOT_FOUND', text),
    )
    await expect(provider.describe(missingKek)).rejects.toMatchObject(failure('NOT_FOUND', text))
  })

  test('names a version that is not there, and tries no other', async ({ skip }) => {
    const { provider, kek, missingVersion } = subject()
    if (missingVersion === undefined) {
      skip('not a part of this service')
      return
    }
    const { wrapped } = await provider.generateDataKey(kek, here)
    const unwrapping = provider.unwrap(kek, { wrapped, kekVersion: missingVersion }, here)
    const text = 'decryption failed: key version not available'
    await expect(unwrapping).rejects.toMatchObject(failure('VERSION_GONE', text))
    await expect(unwrapping).rejects.toThrow(new RegExp(`${kek}.*${missingVersion}`))
  })

  test.for(['', '0', '-1', '1.0', '01', ' 1', 'x', '1e3', '9'.repeat(40)])(
    'refuses the version "%s"',
    async (kekVersion) => {
      const { provider, kek } = subject()
      const { wrapped } = await provider.generateDataKey(kek, here)
      await expect(provider.unwrap(kek, { wrapped, kekVersion }, here)).rejects.toMatchObject({
        name: 'KeyProviderError',
        code: expect.stringMatching(/^(REJECTED|VERSION_GONE)$/),
      })
    },
  )
}
