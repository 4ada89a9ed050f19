import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { connectFailed, keyNotFound } from '../../src/kms/provider-errors.ts'
import type { DataKey, KeyContext, KeyProvider, WrappedKey } from '../../src/kms/provider.ts'
import { selfTest } from '../../src/kms/self-test.ts'
import { ProviderDouble } from './provider-double.ts'

const nowhere: KeyContext = { bucket: '' }

class IgnoresContext extends ProviderDouble {
  override wrap(kek: string, plaintext: Buffer) {
    return super.wrap(kek, plaintext, nowhere)
  }
  override unwrap(kek: string, key: WrappedKey) {
    return super.unwrap(kek, key, nowhere)
  }
}

/** Data keys of a given plaintext, properly wrapped. */
class FixedDataKeys extends ProviderDouble {
  readonly #plaintext: Buffer
  constructor(plaintext: Buffer) {
    super()
    this.#plaintext = plaintext
  }
  override async generateDataKey(kek: string, context: KeyContext): Promise<DataKey> {
    const plaintext = Buffer.from(this.#plaintext)
    return { plaintext, ...(await super.wrap(kek, plaintext, context)) }
  }
}

/** "Wraps" by encoding, as a mock would. */
class Echoes extends ProviderDouble {
  readonly #encode: (plaintext: Buffer) => Buffer
  constructor(encode: (plaintext: Buffer) => Buffer) {
    super()
    this.#encode = encode
  }
  override async wrap(_kek: string, plaintext: Buffer) {
    return { wrapped: this.#encode(plaintext), kekVersion: '1' }
  }
}

/** Only the given wraps leak: the data keys are fine. */
class EchoesGivenKeys extends ProviderDouble {
  override async generateDataKey(kek: string, context: KeyContext) {
    const plaintext = randomBytes(32)
    return { plaintext, ...(await super.wrap(kek, plaintext, context)) }
  }
  override async wrap(_kek: string, plaintext: Buffer) {
    return { wrapped: Buffer.from(plaintext), kekVersion: '1' }
  }
}

class UnwrapsToAnother extends ProviderDouble {
  override async unwrap(kek: string, key: WrappedKey, context: KeyContext) {
    await super.unwrap(kek, key, context)
    return randomBytes(32)
  }
}

class TakesTampered extends ProviderDouble {
  readonly #known = new Map<string, Buffer>()
  override async wrap(kek: string, plaintext: Buffer, context: KeyContext) {
    const key = await super.wrap(kek, plaintext, context)
    this.#known.set(
      `${key.wrapped.toString('hex', 0, 8)} ${context.bucket}`,
      Buffer.from(plaintext),
    )
    return key
  }
  override async unwrap(kek: string, key: WrappedKey, context: KeyContext) {
    const known = this.#known.get(`${key.wrapped.toString('hex', 0, 8)} ${context.bucket}`)
    return known === undefined ? super.unwrap(kek, key, context) : Buffer.from(known)
  }
}

class ZeroesItsDataKeys extends ProviderDouble {
  override async generateDataKey(kek: string, context: KeyContext) {
    const dataKey = await super.generateDataKey(kek, context)
    dataKey.plaintext.fill(0)
    return dataKey
  }
}

class LosesConnection extends ProviderDouble {
  override unwrap(kek: string, key: WrappedKey, context: KeyContext) {
    if (context.bucket === 'nebulaio-self-test') return super.unwrap(kek, key, context)
    return Promise.reject(connectFailed({ provider: this.id, kek }, 'socket hang up'))
  }
}

class HasNoKey extends ProviderDouble {
  override generateDataKey(kek: string): Promise<DataKey> {
    return Promise.reject(keyNotFound({ provider: this.id, kek }))
  }
}

describe('the self-test', () => {
  test('passes a provider that does everything right', async () => {
    await expect(selfTest(new ProviderDouble(), 'k')).resolves.toBeUndefined()
  })

  const mockKey = Buffer.from(Array.from({ length: 32 }, (_, index) => index))
  const badProviders: readonly [string, () => KeyProvider, string][] = [
    ['ignores the context', () => new IgnoresContext(), 'for another bucket'],
    ['gives zeros', () => new FixedDataKeys(Buffer.alloc(32)), "isn't random"],
    ['zeroes what it gives', () => new ZeroesItsDataKeys(), "isn't random"],
    ['gives one byte', () => new FixedDataKeys(Buffer.alloc(32, 7)), "isn't random"],
    ['gives a fixed key', () => new FixedDataKeys(mockKey), 'two data keys are the same'],
    ['gives no bytes', () => new FixedDataKeys(Buffer.alloc(0)), '0 bytes'],
    ['gives 16 bytes', () => new FixedDataKeys(randomBytes(16)), '16 bytes'],
    ['gives 64 bytes', () => new FixedDataKeys(randomBytes(64)), '64 bytes'],
    ['echoes', () => new Echoes((key) => Buffer.from(key)), 'holds the plain key'],
    [
      'echoes inside a frame',
      () => new Echoes((key) => Buffer.concat([Buffer.from('v1:'), key])),
      'holds the plain key',
    ],
    [
      'echoes in base64',
      () => new Echoes((key) => Buffer.from(`vault:v1:${key.toString('base64')}`)),
      'holds the plain key',
    ],
    [
      'echoes in base64url',
      () => new Echoes((key) => Buffer.from(key.toString('base64url'))),
      'holds the plain key',
    ],
    [
      'echoes in hex',
      () => new Echoes((key) => Buffer.from(key.toString('hex').toUpperCase())),
      'holds the plain key',
    ],
    ['echoes given keys only', () => new EchoesGivenKeys(), 'holds the plain key'],
    ['unwraps to another key', () => new UnwrapsToAnother(), 'another key'],
    ['takes tampered bytes', () => new TakesTampered(), 'a tampered key was unwrapped'],
  ]

  test.for(badProviders)('catches a provider that %s', async ([, make, problem]) => {
    await expect(selfTest(make(), 'nebulaio-master')).rejects.toMatchObject({
      name: 'KeySelfTestError',
      message: expect.stringMatching(
        new RegExp(`^self-test of key local:nebulaio-master failed: .*${problem}`),
      ),
    })
  })

  test('passes on what the provider says about the key', async () => {
    await expect(selfTest(new HasNoKey(), 'k')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  test('does not take an outage for a rejection', async () => {
    await expect(selfTest(new LosesConnection(), 'k')).rejects.toMatchObject({ code: 'CONNECT' })
  })

  test('zeroes the keys that it was given', async () => {
    const given: Buffer[] = []
    class Remembers extends ProviderDouble {
      override async generateDataKey(kek: string, context: KeyContext) {
        const dataKey = await super.generateDataKey(kek, context)
        given.push(dataKey.plaintext)
        return dataKey
      }
      override async unwrap(kek: string, key: WrappedKey, context: KeyContext) {
        const plaintext = await super.unwrap(kek, key, context)
        given.push(plaintext)
        return plaintext
      }
    }
    await selfTest(new Remembers(), 'k')
    expect(given).toHaveLength(4)
    for (const key of given) expect(key).toEqual(Buffer.alloc(32))
  })
})
