import { createCipheriv, createDecipheriv, randomFillSync, timingSafeEqual } from 'node:crypto'
import { Dek, expand, keySize } from '../stream/dek.ts'
import { AuthenticationError, FormatError } from '../stream/errors.ts'
import { sealContext, type BodyLayout, type ObjectPlace } from './place.ts'

const saltSize = 24
const commitmentSize = 32
const tagSize = 16
/** salt ‖ commitment ‖ ciphertext ‖ tag. */
export const sealedDekSize = saltSize + commitmentSize + keySize + tagSize

const sealLabel = Buffer.from('nebulaio/v1/seal\0', 'latin1')
/** Each seal key is used once, so the nonce may be fixed. */
const zeroNonce = Buffer.alloc(12)

interface SealKeys {
  readonly sealKey: Buffer
  readonly commitment: Buffer
}

function deriveSealKeys(ik: Buffer, salt: Buffer, context: Buffer): SealKeys {
  const derived = expand(ik, [sealLabel, salt, context], keySize + commitmentSize)
  return { sealKey: derived.subarray(0, keySize), commitment: derived.subarray(keySize) }
}

/** Seals a DEK for its object's place by an intermediate key of 32 bytes (`docs/format.md` §3.2). */
export function sealDek(ik: Buffer, dek: Dek, place: ObjectPlace & { layout: BodyLayout }): Buffer {
  const salt = randomFillSync(Buffer.alloc(saltSize))
  const { sealKey, commitment } = deriveSealKeys(ik, salt, sealContext(place, place.layout))
  const cipher = createCipheriv('aes-256-gcm', sealKey, zeroNonce)
  const sealed = cipher.update(dek.reveal())
  cipher.final()
  sealKey.fill(0)
  return Buffer.concat([salt, commitment, sealed, cipher.getAuthTag()])
}

/** Opens a sealed DEK. Throws IntegrityError if it was sealed by another key or for another place. */
export function openDek(
  ik: Buffer,
  sealed: Buffer,
  place: ObjectPlace & { layout: BodyLayout },
): Dek {
  if (sealed.length !== sealedDekSize) {
    throw new FormatError(`sealed DEK has ${sealed.length} bytes instead of ${sealedDekSize}`)
  }
  const salt = sealed.subarray(0, saltSize)
  const { sealKey, commitment } = deriveSealKeys(ik, salt, sealContext(place, place.layout))
  const ciphertextOffset = saltSize + commitmentSize
  if (!timingSafeEqual(sealed.subarray(saltSize, ciphertextOffset), commitment)) {
    throw new AuthenticationError("sealed DEK: commitment doesn't match key and place")
  }
  const decipher = createDecipheriv('aes-256-gcm', sealKey, zeroNonce, { authTagLength: tagSize })
  const dek = decipher.update(sealed.subarray(ciphertextOffset, -tagSize))
  decipher.setAuthTag(sealed.subarray(-tagSize))
  try {
    decipher.final()
  } catch (cause) {
    throw new AuthenticationError("sealed DEK: tag doesn't verify", { cause })
  }
  sealKey.fill(0)
  return new Dek(dek)
}
