import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto'

/** The size of every key here, in bytes. */
export const keySize = 32

/** What the material of a KEK version is bound to, see docs/local-key-store.md step 2. */
export interface VersionIdentity {
  readonly id: string
  readonly name: string
  readonly version: number
}

/** What a wrapped key is bound to, see docs/local-key-store.md step 3. */
export interface WrapIdentity {
  readonly id: string
  readonly version: number
  readonly bucket: string
}

/** The `format` of a key file, also bound into the wrapped material. */
export const keyFileFormat = 'nebulaio-local-key/1'

const cipher = 'aes-256-gcm'
const nonceSize = 12
const tagSize = 16
const saltSize = 24
const wrapFormat = 0x01
const zeroNonce = Buffer.alloc(nonceSize)
const wrapInfo = Buffer.from('nebulaio/local/wrap\0')

/** The size of a KEK version's wrapped material, in bytes. */
export const wrappedMaterialSize = nonceSize + keySize + tagSize

/** The size of a key wrapped by a KEK version, in bytes. */
export const wrappedKeySize = 1 + saltSize + keySize + tagSize

/** Each field behind its size in UTF-8 bytes as u32be, so that no two lists give the same bytes. */
export function lengthPrefixed(...fields: readonly string[]): Buffer {
  return Buffer.concat(
    fields.flatMap((field) => {
      const bytes = Buffer.from(field)
      const size = Buffer.alloc(4)
      size.writeUInt32BE(bytes.length)
      return [size, bytes]
    }),
  )
}

/** HKDF-Expand (RFC 5869 §2.3) with SHA-512, 32 bytes. `key` must be uniform; the caller zeroes. */
export function expand(key: Buffer, info: Buffer): Buffer {
  const block = createHmac('sha512', key).update(info).update(Buffer.of(1)).digest()
  const output = Buffer.alloc(keySize)
  block.copy(output, 0, 0, keySize)
  block.fill(0)
  return output
}

/** 60 bytes that open only under the same master wrap key and identity. */
export function wrapMaterial(
  masterWrapKey: Buffer,
  material: Buffer,
  identity: VersionIdentity,
): Buffer {
  const nonce = randomBytes(nonceSize)
  return Buffer.concat([nonce, encrypt(masterWrapKey, nonce, material, materialAad(identity))])
}

/** The material, which the caller zeroes; null if the bytes, the key or the identity are wrong. */
export function unwrapMaterial(
  masterWrapKey: Buffer,
  wrapped: Buffer,
  identity: VersionIdentity,
): Buffer | null {
  if (wrapped.length !== wrappedMaterialSize) return null
  const nonce = wrapped.subarray(0, nonceSize)
  return decrypt(masterWrapKey, nonce, wrapped.subarray(nonceSize), materialAad(identity))
}

/** Wraps a 32-byte key with a KEK version's material: 73 bytes. */
export function wrapKey(material: Buffer, plaintext: Buffer, identity: WrapIdentity): Buffer {
  const salt = randomBytes(saltSize)
  const key = expand(material, Buffer.concat([wrapInfo, salt]))
  try {
    const sealed = encrypt(key, zeroNonce, plaintext, wrapAad(identity))
    return Buffer.concat([Buffer.of(wrapFormat), salt, sealed])
  } finally {
    key.fill(0)
  }
}

/** The 32-byte key, which the caller zeroes; null if bytes, material or identity are wrong. */
export function unwrapKey(
  material: Buffer,
  wrapped: Buffer,
  identity: WrapIdentity,
): Buffer | null {
  if (wrapped.length !== wrappedKeySize || wrapped[0] !== wrapFormat) return null
  const salt = wrapped.subarray(1, 1 + saltSize)
  const key = expand(material, Buffer.concat([wrapInfo, salt]))
  try {
    return decrypt(key, zeroNonce, wrapped.subarray(1 + saltSize), wrapAad(identity))
  } finally {
    key.fill(0)
  }
}

function materialAad({ id, name, version }: VersionIdentity): Buffer {
  return lengthPrefixed(keyFileFormat, id, name, String(version))
}

function wrapAad({ id, version, bucket }: WrapIdentity): Buffer {
  return lengthPrefixed('local', id, String(version), bucket)
}

function encrypt(key: Buffer, nonce: Buffer, plaintext: Buffer, aad: Buffer): Buffer {
  const gcm = createCipheriv(cipher, key, nonce, { authTagLength: tagSize })
  gcm.setAAD(aad)
  return Buffer.concat([gcm.update(plaintext), gcm.final(), gcm.getAuthTag()])
}

function decrypt(key: Buffer, nonce: Buffer, sealed: Buffer, aad: Buffer): Buffer | null {
  const tagOffset = sealed.length - tagSize
  const gcm = createDecipheriv(cipher, key, nonce, { authTagLength: tagSize })
  gcm.setAAD(aad)
  gcm.setAuthTag(sealed.subarray(tagOffset))
  const plaintext = gcm.update(sealed.subarray(0, tagOffset))
  try {
    // In this mode `final` gives no bytes and throws only if the tag doesn't verify.
    gcm.final()
    return plaintext
  } catch {
    plaintext.fill(0)
    return null
  }
}
