import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import {
  IntermediateKeys,
  type IntermediateKeyLimits,
} from '../../src/envelope/intermediate-keys.ts'
import { ObjectKeys } from '../../src/envelope/object-keys.ts'
import { marshalUploadToken, parseUploadToken } from '../../src/envelope/upload-token.ts'
import { KeyProviderError } from '../../src/kms/provider.ts'
import { AuthenticationError, IntegrityError } from '../../src/stream/errors.ts'
import { fakeKeks, FakeProvider } from './fake-provider.ts'

const defaults: IntermediateKeyLimits = {
  maxObjects: 1000,
  maxAgeMs: 300_000,
  cacheTtlMs: 300_000,
  cacheMaxSize: 10_000,
}

function setup(limits: Partial<IntermediateKeyLimits> = {}) {
  const provider = new FakeProvider()
  const clock = { now: 1 }
  const replica = () =>
    new ObjectKeys(
      new IntermediateKeys(fakeKeks(provider), { ...defaults, ...limits }, () => clock.now),
    )
  return { provider, clock, keys: replica(), replica }
}

const place = { bucket: 'photos', key: 'a/../b//ü' }

describe('object keys', () => {
  test('another replica opens what one sealed', async () => {
    const { keys, replica } = setup()
    const { dek, envelope } = await keys.create(place, 'single')
    expect((await replica().open(place, envelope)).equals(dek)).toBe(true)
  })

  test.each([
    ['bucket', { ...place, bucket: 'other' }],
    ['key', { ...place, key: 'a/b/ü' }],
    ['key that differs by a trailing slash', { ...place, key: `${place.key}/` }],
  ])('an envelope moved to another %s does not open', async (_, moved) => {
    const { keys } = setup()
    const { envelope } = await keys.create(place, 'single')
    await expect(keys.open(moved, envelope)).rejects.toThrow(Error)
  })

  test.each(['empty', 'multipart'] as const)(
    'a layout changed to %s does not open',
    async (layout) => {
      const { keys } = setup()
      const { envelope } = await keys.create(place, 'single')
      await expect(keys.open(place, { ...envelope, layout })).rejects.toThrow(AuthenticationError)
    },
  )

  test('each changed byte of a sealed DEK is refused', async () => {
    const { keys } = setup()
    const { envelope } = await keys.create(place, 'single')
    for (let i = 0; i < envelope.sealedDek.length; i += 1) {
      const sealedDek = Buffer.from(envelope.sealedDek)
      sealedDek[i] = (sealedDek[i] ?? 0) ^ 1
      await expect(keys.open(place, { ...envelope, sealedDek })).rejects.toThrow(IntegrityError)
    }
  })

  test('a key that is not on the allow list is never asked for', async () => {
    const { keys, provider } = setup()
    const { envelope } = await keys.create(place, 'single')
    const foreign = { ...envelope, kek: 'local:other' }
    await expect(keys.open(place, foreign)).rejects.toMatchObject({ code: 'DENIED' })
    expect(provider.unwrapped).toBe(0)
  })

  test('resealing keeps the DEK and binds it to the new place', async () => {
    const { keys } = setup()
    const { dek, envelope } = await keys.create(place, 'single')
    const target = { bucket: 'other', key: 'x' }
    const moved = await keys.reseal(dek, target, 'single')
    expect((await keys.open(target, moved)).equals(dek)).toBe(true)
    expect(moved.wrappedIk).not.toEqual(envelope.wrappedIk)
    await expect(keys.open(place, moved)).rejects.toMatchObject({ code: 'REJECTED' })
  })

  test('a DEK never prints its bytes', async () => {
    const { dek } = await setup().keys.create(place, 'single')
    const printed = `${String(dek)} ${inspect(dek)} ${JSON.stringify({ dek })} ${inspect({ dek }, { depth: 9 })}`
    expect(printed).not.toContain(dek.reveal().toString('hex').slice(0, 8))
    expect(printed).not.toMatch(/<Buffer/)
  })
})

describe('intermediate keys', () => {
  test('ten thousand new objects at once cost ten data keys', async () => {
    const { keys, provider } = setup()
    await Promise.all(Array.from({ length: 10_000 }, () => keys.create(place, 'single')))
    expect(provider.generated).toBe(10)
  })

  test('with max objects 1 each object costs one data key', async () => {
    const { keys, provider } = setup({ maxObjects: 1 })
    await Promise.all(Array.from({ length: 20 }, () => keys.create(place, 'single')))
    expect(provider.generated).toBe(20)
  })

  test('each bucket has keys of its own', async () => {
    const { keys, provider } = setup()
    await keys.create(place, 'single')
    await keys.create({ bucket: 'b', key: 'k' }, 'single')
    expect(provider.generated).toBe(2)
  })

  test('an aged key seals nothing more', async () => {
    const { keys, provider, clock } = setup({ maxAgeMs: 1000 })
    await keys.create(place, 'single')
    clock.now += 1002
    await keys.create(place, 'single')
    expect(provider.generated).toBe(2)
  })

  test('a thousand cold reads at once cost one unwrap', async () => {
    const { keys, replica, provider } = setup()
    const { envelope } = await keys.create(place, 'single')
    const reader = replica()
    await Promise.all(Array.from({ length: 1000 }, () => reader.open(place, envelope)))
    expect(provider.unwrapped).toBe(1)
  })

  test('reading what was just written costs no unwrap', async () => {
    const { keys, provider } = setup()
    const { envelope } = await keys.create(place, 'single')
    await keys.open(place, envelope)
    expect(provider.unwrapped).toBe(0)
  })

  test.each([
    ['size 0', { cacheMaxSize: 0 }],
    ['lifetime 0', { cacheTtlMs: 0 }],
  ])('a cache of %s keeps nothing', async (_, limits) => {
    const { keys, provider } = setup(limits)
    const { envelope } = await keys.create(place, 'single')
    await keys.open(place, envelope)
    await keys.open(place, envelope)
    expect(provider.unwrapped).toBe(2)
  })

  test('a cached key expires from its unwrapping on, used or not', async () => {
    const { keys, replica, provider, clock } = setup({ cacheTtlMs: 1000 })
    const { envelope } = await keys.create(place, 'single')
    const reader = replica()
    await reader.open(place, envelope)
    clock.now += 900
    await reader.open(place, envelope)
    clock.now += 900
    await reader.open(place, envelope)
    expect(provider.unwrapped).toBe(2)
  })

  test('eviction under load never gives a zeroed key to a reader', async () => {
    const { keys, replica } = setup({ cacheMaxSize: 1 })
    const places = Array.from({ length: 20 }, (_, i) => ({ bucket: `b${i}`, key: 'k' }))
    const made = await Promise.all(places.map((p) => keys.create(p, 'single')))
    const reader = replica()
    const reads = Array.from({ length: 200 }, async (_, i) => {
      const target = places[i % 20]
      const key = made[i % 20]
      if (!target || !key) throw new Error('unreachable')
      return (await reader.open(target, key.envelope)).equals(key.dek)
    })
    expect(await Promise.all(reads)).not.toContain(false)
  })

  test('a failed call is not remembered', async () => {
    const { keys, provider } = setup()
    provider.fail = new KeyProviderError('CONNECT', 'down', { provider: 'local', kek: 'master' })
    await expect(keys.create(place, 'single')).rejects.toMatchObject({ code: 'CONNECT' })
    provider.fail = null
    await expect(keys.create(place, 'single')).resolves.toBeDefined()
  })
})

describe('upload token', () => {
  test('carries the upload to another replica', async () => {
    const { keys, replica } = setup()
    const { dek, envelope } = await keys.create(place, 'multipart')
    const token = parseUploadToken(marshalUploadToken({ backendUploadId: 'u+/=~1', envelope }, dek))
    const opened = await replica().open(place, token.envelope)
    token.verify(opened)
    expect(token.backendUploadId).toBe('u+/=~1')
    expect(opened.equals(dek)).toBe(true)
  })

  test('each changed character is refused', async () => {
    const { keys } = setup()
    const { dek, envelope } = await keys.create(place, 'multipart')
    const text = marshalUploadToken({ backendUploadId: 'upload', envelope }, dek)
    for (let i = 0; i < text.length; i += 1) {
      const bad = text.slice(0, i) + (text[i] === 'A' ? 'B' : 'A') + text.slice(i + 1)
      expect(() => parseUploadToken(bad).verify(dek)).toThrow(IntegrityError)
    }
  })

  test.each([
    ['nothing', ''],
    ['a version alone', 'AQ'],
    ['a character outside base64url', '!'],
    ['a too long text', 'A'.repeat(9000)],
    ['a cut token', 'AQAAAAEx'],
  ])('%s is refused', (_, text) => {
    expect(() => parseUploadToken(text)).toThrow(IntegrityError)
  })

  test('an envelope of a single object is refused', async () => {
    const { keys } = setup()
    const { dek, envelope } = await keys.create(place, 'single')
    const text = marshalUploadToken({ backendUploadId: 'u', envelope }, dek)
    expect(() => parseUploadToken(text)).toThrow(IntegrityError)
  })
})
