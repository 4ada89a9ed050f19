import { createHash, randomBytes } from 'node:crypto'
import type { Kek, Keks } from '../../src/envelope/keks.ts'
import {
  KeyProviderError,
  type DataKey,
  type KekDescription,
  type KeyContext,
  type KeyProvider,
  type WrappedKey,
} from '../../src/kms/provider.ts'

/** A provider that keeps wrapped keys in a table and counts its calls. */
export class FakeProvider implements KeyProvider {
  readonly id = 'local'
  generated = 0
  unwrapped = 0
  fail: KeyProviderError | null = null
  readonly #keys = new Map<string, Buffer>()

  async generateDataKey(kek: string, context: KeyContext): Promise<DataKey> {
    this.generated += 1
    const plaintext = randomBytes(32)
    return { plaintext, ...(await this.wrap(kek, plaintext, context)) }
  }

  wrap(kek: string, plaintext: Buffer, context: KeyContext): Promise<WrappedKey> {
    if (this.fail) return Promise.reject(this.fail)
    const wrapped = randomBytes(48)
    this.#keys.set(this.#id(kek, wrapped, context), Buffer.from(plaintext))
    return Promise.resolve({ wrapped, kekVersion: '1' })
  }

  unwrap(kek: string, { wrapped }: WrappedKey, context: KeyContext): Promise<Buffer> {
    this.unwrapped += 1
    const key = this.#keys.get(this.#id(kek, wrapped, context))
    if (this.fail) return Promise.reject(this.fail)
    if (key) return Promise.resolve(Buffer.from(key))
    return Promise.reject(new KeyProviderError('REJECTED', 'rejected', { provider: this.id, kek }))
  }

  describe(name: string): Promise<KekDescription> {
    return Promise.resolve({ name, currentVersion: '1', enabled: true })
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #id(kek: string, wrapped: Buffer, context: KeyContext): string {
    return createHash('sha256').update(kek).update(wrapped).update(context.bucket).digest('hex')
  }
}

/** One KEK for all buckets; only its own reference is allowed. */
export function fakeKeks(provider: KeyProvider): Keks {
  const kek: Kek = { reference: 'local:master', name: 'master', provider }
  return {
    forBucket: () => kek,
    named(reference) {
      if (reference === kek.reference) return kek
      throw new KeyProviderError('DENIED', `${reference} is not allowed`, {
        provider: provider.id,
        kek: reference,
      })
    },
  }
}
