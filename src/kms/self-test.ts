import { randomBytes } from 'node:crypto'
import type { DataKey, KeyContext, KeyProvider, WrappedKey } from './provider.ts'
import { KeyProviderError } from './provider.ts'

const keySize = 32
const fewestDifferentBytes = 8
const context: KeyContext = { bucket: 'nebulaio-self-test' }
const otherContext: KeyContext = { bucket: 'nebulaio-self-test-other' }

/** A provider that answers, but not as a key management service has to. */
export class KeySelfTestError extends Error {
  override readonly name = 'KeySelfTestError'
}

/**
 * Proves that `kek` is there, wraps, and gives back only to whoever shows the same bytes and
 * context. Throws {@link KeySelfTestError} if it doesn't, and what the provider throws if it can't
 * be asked. Makes about seven calls; leaves nothing behind in memory or in the provider.
 */
export async function selfTest(
  provider: KeyProvider,
  kek: string,
  signal?: AbortSignal,
): Promise<void> {
  const fail = (problem: string) => {
    throw new KeySelfTestError(`self-test of key ${provider.id}:${kek} failed: ${problem}`)
  }
  const secrets: Buffer[] = []
  const generate = async () => {
    const dataKey = await provider.generateDataKey(kek, context, signal)
    secrets.push(dataKey.plaintext)
    refuseBadDataKey(dataKey, fail)
    return dataKey
  }
  const unwrap = (key: WrappedKey, given: KeyContext) => provider.unwrap(kek, key, given, signal)
  try {
    const first = await generate()
    const second = await generate()
    if (first.plaintext.equals(second.plaintext)) fail('two data keys are the same')
    const own = randomBytes(keySize)
    secrets.push(own)
    const wrapped = await provider.wrap(kek, own, context, signal)
    if (holdsPlaintext(wrapped.wrapped, own)) fail('the wrapped key holds the plain key')
    await expectKey(unwrap(first, context), first.plaintext, fail)
    await expectKey(unwrap(wrapped, context), own, fail)
    if (!(await isRejected(unwrap(first, otherContext)))) {
      fail('a key was unwrapped for another bucket than the one it was wrapped for')
    }
    if (!(await isRejected(unwrap(tampered(wrapped), context))))
      fail('a tampered key was unwrapped')
  } finally {
    for (const secret of secrets) secret.fill(0)
  }
}

type Fail = (problem: string) => void

function refuseBadDataKey({ plaintext, wrapped }: DataKey, fail: Fail): void {
  if (plaintext.length !== keySize) fail(`a data key has ${plaintext.length} bytes, not ${keySize}`)
  if (new Set(plaintext).size < fewestDifferentBytes) fail("a data key isn't random")
  if (holdsPlaintext(wrapped, plaintext)) fail('the wrapped key holds the plain key')
}

function holdsPlaintext(wrapped: Buffer, plaintext: Buffer): boolean {
  if (wrapped.includes(plaintext)) return true
  const text = wrapped.toString('latin1')
  return (['hex', 'base64url', 'base64'] as const).some((encoding) =>
    text.toLowerCase().includes(plaintext.toString(encoding).replace(/=+$/, '').toLowerCase()),
  )
}

function tampered({ wrapped, kekVersion }: WrappedKey): WrappedKey {
  const bytes = Buffer.from(wrapped)
  const middle = bytes.length >> 1
  bytes.writeUInt8(bytes.readUInt8(middle) ^ 1, middle)
  return { wrapped: bytes, kekVersion }
}

async function expectKey(unwrapping: Promise<Buffer>, expected: Buffer, fail: Fail) {
  const plaintext = await unwrapping
  const same = plaintext.equals(expected)
  plaintext.fill(0)
  if (!same) fail('unwrapping gave another key than the one that was wrapped')
}

/** Whether the provider said REJECTED; any other failure leaves the question open, so it goes on. */
async function isRejected(unwrapping: Promise<Buffer>): Promise<boolean> {
  try {
    const plaintext = await unwrapping
    plaintext.fill(0)
    return false
  } catch (error) {
    if (error instanceof KeyProviderError && error.code === 'REJECTED') return true
    throw error
  }
}
