import { z } from 'zod'
import { KeyStoreError } from './key-store-error.ts'
import { keyFileFormat, wrappedMaterialSize } from './local-wrapping.ts'

/** The `format` of keystore.json. */
export const storeHeaderFormat = 'nebulaio-local-keystore/1'

const saltSize = 32
const checkSize = 32

function base64Bytes(size: number) {
  return z.string().transform((text, context): Buffer => {
    const bytes = Buffer.from(text, 'base64')
    if (bytes.length === size && bytes.toString('base64') === text) return bytes
    context.addIssue({ code: 'custom', message: `expected ${size} bytes in base64` })
    return z.NEVER
  })
}

const scryptSchema = z.strictObject({
  n: z
    .int()
    .min(2 ** 14)
    .max(2 ** 20)
    .refine((n) => Number.isInteger(Math.log2(n)), 'expected a power of two'),
  r: z.int().min(1).max(16),
  p: z.int().min(1).max(16),
  salt: base64Bytes(saltSize),
})

const headerSchema = z.strictObject({
  format: z.literal(storeHeaderFormat),
  created_at: z.iso.datetime(),
  initialized: z.boolean(),
  master_key: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('file'), check: base64Bytes(checkSize) }),
    z.strictObject({
      kind: z.literal('password'),
      scrypt: scryptSchema,
      check: base64Bytes(checkSize),
    }),
  ]),
})

const versionSchema = z.strictObject({
  version: z.int().min(1),
  created_at: z.iso.datetime(),
  state: z.enum(['CURRENT', 'DECRYPT_ONLY']),
  wrapped: base64Bytes(wrappedMaterialSize),
})

const keySchema = z.strictObject({
  format: z.literal(keyFileFormat),
  id: z.string().regex(/^[0-9a-f]{32}$/, 'expected 32 lower-case hex digits'),
  name: z.string().refine(isKeyName, 'expected a key name'),
  state: z.enum(['ENABLED', 'DISABLED']),
  versions: z
    .array(versionSchema)
    .min(1)
    .refine(
      (versions) => versions.every(({ version }, index) => version === index + 1),
      'expected versions 1, 2, 3 ... without gaps',
    )
    .refine(
      (versions) =>
        versions.every(
          ({ state }, index) => (state === 'CURRENT') === (index === versions.length - 1),
        ),
      'expected the last version, and no other, to be CURRENT',
    ),
})

/** How a password becomes the root key (RFC 7914). */
export type ScryptParameters = z.infer<typeof scryptSchema>

/** keystore.json. */
export type StoreHeader = z.infer<typeof headerSchema>

/** A key file. Its versions are 1, 2, 3 … and only the last is CURRENT. */
export type KeyRecord = z.infer<typeof keySchema>

/** Whether a key of the store can have this name; ids can't be names. */
export function isKeyName(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(text) && !/^[0-9a-f]{32}$/.test(text)
}

/** Throws {@link KeyStoreError} that names `file` unless the text is exactly of this format. */
export function parseStoreHeader(file: string, text: string): StoreHeader {
  return parse(headerSchema, file, text)
}

/** Throws {@link KeyStoreError} that names `file` unless the text is exactly of this format. */
export function parseKeyRecord(file: string, text: string): KeyRecord {
  return parse(keySchema, file, text)
}

/** The JSON text of keystore.json or of a key file, byte strings as base64. */
export function marshalRecord(record: StoreHeader | KeyRecord): string {
  return `${JSON.stringify(withBase64(record), null, 2)}\n`
}

function parse<T>(schema: z.ZodType<T>, file: string, text: string): T {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    // Without the parser's error: its message quotes the text, which has no place in a log.
    throw new KeyStoreError(file, 'is damaged: not JSON')
  }
  const result = schema.safeParse(json)
  if (result.success) return result.data
  const problems = result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
  throw new KeyStoreError(file, `is damaged: ${problems.join('; ')}`)
}

// JSON.stringify would ask Buffer.toJSON first, so the bytes are replaced before.
function withBase64(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return value.toString('base64')
  if (Array.isArray(value)) return value.map(withBase64)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, withBase64(item)]))
}
