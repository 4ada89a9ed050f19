import { randomBytes } from 'node:crypto'
import { unwrapKey, wrapKey } from '../../src/kms/local-wrapping.ts'
import { ciphertextRejected } from '../../src/kms/provider-errors.ts'
import type { DataKey, KeyContext, KeyProvider, WrappedKey } from '../../src/kms/provider.ts'

const material = randomBytes(32)
const version = 1

/** A provider that does everything right, for doubles that get one thing wrong. */
export class ProviderDouble implements KeyProvider {
  readonly id: string
  closed = 0

  constructor(id = 'local') {
    this.id = id
  }

  async generateDataKey(kek: string, context: KeyContext): Promise<DataKey> {
    const plaintext = randomBytes(32)
    return { plaintext, ...(await this.wrap(kek, plaintext, context)) }
  }

  async wrap(kek: string, plaintext: Buffer, { bucket }: KeyContext): Promise<WrappedKey> {
    const wrapped = wrapKey(material, plaintext, { id: kek, version, bucket })
    return { wrapped, kekVersion: String(version) }
  }

  async unwrap(
    kek: string,
    { wrapped, kekVersion }: WrappedKey,
    { bucket }: KeyContext,
  ): Promise<Buffer> {
    const plaintext = unwrapKey(material, wrapped, { id: kek, version, bucket })
    if (plaintext === null) throw ciphertextRejected({ provider: this.id, kek }, kekVersion)
    return plaintext
  }

  async describe(kek: string) {
    return { name: kek, currentVersion: String(version), enabled: true }
  }

  async close() {
    this.closed += 1
  }
}
