import { availableParallelism } from 'node:os'
import { z } from 'zod'
import { byteSize, duration, endpointUrl, listenAddress } from './text-values.ts'

const path = z.string().min(1)
const secret = z.string().min(8, 'must have at least 8 characters')
const bucketName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/, 'is no bucket name')
const level = z.enum(['debug', 'info', 'warn', 'error'])

const algorithm = z.string().transform((text, context): 'AES_256_GCM' => {
  if (text.replaceAll('-', '_') === 'AES_256_GCM') return 'AES_256_GCM'
  context.addIssue(`unknown algorithm "${text}" (AES_256_GCM)`)
  return z.NEVER
})

const otherProviders = ['vault', 'aws', 'azure', 'gcp']
const notAvailable = (name: string) =>
  `the provider "${name}" is not available in this version (local)`
const noSuchProvider = (name: string) =>
  otherProviders.includes(name)
    ? notAvailable(name)
    : `unknown provider "${name}" (vault, aws, azure, gcp, local)`

const provider = z.string().transform((text, context): 'local' => {
  if (text === 'local') return 'local'
  context.addIssue(noSuchProvider(text))
  return z.NEVER
})

/** Keys of later versions, with what to say to those who use them already. */
export const unavailableKeys: ReadonlyMap<string, string> = new Map([
  ...otherProviders.map((name) => [`encryption.kms.${name}`, notAvailable(name)] as const),
  [
    'encryption.key_rotation',
    'rotation by policy is not available in this version (nebulaio keys rotate)',
  ],
])

const keyName = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/,
    'is no name of a key: letters, digits, dot, underscore and hyphen, at most 128',
  )

/** `local:<name>` or a bare name of the default provider; only the first colon splits. */
const keyId = z.string().superRefine((text, context) => {
  const [prefix = '', ...rest] = text.split(':')
  if (rest.length > 0 && prefix !== 'local') {
    context.addIssue(noSuchProvider(prefix))
    return
  }
  const name = keyName.safeParse(rest.length > 0 ? rest.join(':') : text)
  for (const { message } of name.error?.issues ?? []) context.addIssue(message)
})

/** An array of objects in which no value of `key` is there twice, checked whatever else is wrong. */
function uniqueBy<Item extends z.ZodObject>(item: Item, key: keyof Item['shape'] & string) {
  return z.array(item).superRefine(
    (items: readonly unknown[], context) => {
      const names = items.map((entry) => (isRecord(entry) ? entry[key] : undefined))
      for (const [index, name] of names.entries()) {
        if (typeof name !== 'string' || names.indexOf(name) === index) continue
        context.addIssue({
          code: 'custom',
          message: `"${name}" is there twice`,
          path: [index, key],
        })
      }
    },
    { when: ({ value }) => Array.isArray(value) },
  )
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const server = z.strictObject({
  listen: listenAddress().prefault('127.0.0.1:9000'),
  workers: z
    .int()
    .min(0)
    .max(256)
    .default(() => availableParallelism()),
  tls: z.strictObject({ cert_file: path, key_file: path }).optional(),
  virtual_host_domains: z.array(z.string().regex(/^[a-z0-9.-]+$/, 'is no domain')).default([]),
  region: z.string().min(1).default('us-east-1'),
  limits: z
    .strictObject({
      max_header_size: byteSize().prefault('32KiB'),
      max_connections: z.int().positive().default(10_000),
      max_requests_in_flight: z.int().positive().default(2_000),
      header_timeout: duration().prefault('30s'),
      body_idle_timeout: duration().prefault('60s'),
      shutdown_grace: duration().prefault('30s'),
    })
    .prefault({}),
})

const admin = z.strictObject({
  listen: listenAddress().prefault('127.0.0.1:9001'),
  tokens: uniqueBy(
    z.strictObject({
      name: z.string().min(1),
      sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be the SHA-256 of the token in hex'),
    }),
    'name',
  ).default([]),
})

const backend = z.strictObject({
  endpoint: endpointUrl(),
  region: z.string().min(1).default('us-east-1'),
  access_key_id: z.string().min(1),
  secret_access_key: z.string().min(1),
  addressing: z.enum(['path', 'virtual']).default('path'),
  payload: z.enum(['signed-chunks', 'unsigned']).default('signed-chunks'),
  tls: z
    .strictObject({
      ca_file: path.optional(),
      cert_file: path.optional(),
      key_file: path.optional(),
    })
    .refine(({ cert_file, key_file }) => (cert_file === undefined) === (key_file === undefined), {
      error: 'cert_file and key_file belong together',
    })
    .prefault({}),
  timeouts: z
    .strictObject({
      connect: duration().prefault('10s'),
      response: duration().prefault('10m'),
      idle: duration().prefault('60s'),
    })
    .prefault({}),
  retries: z.int().min(0).max(10).default(3),
  max_connections: z.int().positive().default(1_000),
})

const localKeys = z.strictObject({
  key_store_path: path.default('./data/kms/keys'),
  master_key_file: path.optional(),
  master_password: z.string().min(12, 'must have at least 12 characters').optional(),
  key_name: keyName.default('nebulaio-master'),
})

const kms = z.strictObject({ provider, local: localKeys.prefault({}) }).superRefine(
  ({ local }, context) => {
    if ((local.master_key_file === undefined) !== (local.master_password === undefined)) return
    context.addIssue({
      code: 'custom',
      message: 'exactly one of master_key_file and master_password is needed',
      path: ['local'],
    })
  },
  // Whatever else is wrong, but not where another provider was meant.
  {
    when: ({ value, issues }) =>
      isRecord(value) &&
      isRecord(value['local']) &&
      !issues.some(({ path }) => path?.[0] === 'provider'),
  },
)

const encryption = z.strictObject({
  enabled: z.literal(true, {
    error: 'must be true: serving buckets without encryption is not available in this version',
  }),
  kms,
  default_key_id: keyId.optional(),
  bucket_keys: uniqueBy(
    z.strictObject({ bucket: bucketName, key_id: keyId, algorithm: algorithm.optional() }),
    'bucket',
  ).default([]),
  additional_decrypt_keys: z.array(keyId).default([]),
  envelope: z
    .strictObject({
      enabled: z
        .literal(true, { error: 'must be true: objects are always encrypted with envelopes' })
        .default(true),
      dek_algorithm: algorithm.prefault('AES_256_GCM'),
      dek_cache_ttl: duration({ min: 0, max: 86_400_000 }).prefault('5m'),
      dek_cache_max_size: z.int().min(0).default(10_000),
      intermediate_key: z
        .strictObject({
          max_objects: z.int().positive().default(1_000),
          max_age: duration().prefault('5m'),
        })
        .prefault({}),
    })
    .prefault({}),
})

/** The one description of the configuration file: names, types, defaults, rules. */
export const configSchema = z.strictObject({
  server: server.prefault({}),
  admin: admin.prefault({}),
  backend,
  credentials: uniqueBy(
    z.strictObject({ access_key_id: z.string().min(1).max(128), secret_access_key: secret }),
    'access_key_id',
  ).min(1, 'at least one credential is needed, or no client can sign in'),
  state: z
    .strictObject({
      url: z
        .string()
        .regex(/^(file:|postgres:\/\/|postgresql:\/\/)./, 'must be file:<folder> or postgres://…')
        .default('file:./data/state'),
    })
    .prefault({}),
  encryption,
  logging: z
    .strictObject({
      level: level.default('info'),
      components: z.record(z.string(), level).default({}),
    })
    .prefault({}),
})

/** A validated configuration: durations in milliseconds, sizes in bytes, paths absolute. */
export type Config = z.output<typeof configSchema>
