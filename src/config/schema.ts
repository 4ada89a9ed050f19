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
const provider = z.string().transform((text, context): 'local' => {
  if (text === 'local') return 'local'
  context.addIssue(
    otherProviders.includes(text)
      ? `the provider "${text}" is not available in this version (local)`
      : `unknown provider "${text}" (vault, aws, azure, gcp, local)`,
  )
  return z.NEVER
})

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
  tokens: z
    .array(
      z.strictObject({
        name: z.string().min(1),
        sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be the SHA-256 of the token in hex'),
      }),
    )
    .default([]),
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

const localKeys = z
  .strictObject({
    key_store_path: path.default('./data/kms/keys'),
    master_key_file: path.optional(),
    master_password: z.string().min(12, 'must have at least 12 characters').optional(),
    key_name: z.string().min(1).default('nebulaio-master'),
  })
  .refine(
    ({ master_key_file, master_password }) =>
      (master_key_file === undefined) !== (master_password === undefined),
    { error: 'exactly one of master_key_file and master_password is needed' },
  )

const encryption = z.strictObject({
  enabled: z.literal(true, {
    error: 'must be true: serving buckets without encryption is not available in this version',
  }),
  kms: z.strictObject({ provider, local: localKeys }),
  default_key_id: z.string().min(1).optional(),
  bucket_keys: z
    .array(
      z.strictObject({
        bucket: bucketName,
        key_id: z.string().min(1),
        algorithm: algorithm.optional(),
      }),
    )
    .default([]),
  additional_decrypt_keys: z.array(z.string().min(1)).default([]),
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
  credentials: z
    .array(z.strictObject({ access_key_id: z.string().min(1).max(128), secret_access_key: secret }))
    .min(1, 'at least one credential is needed, or no client can sign in'),
  state: z
    .strictObject({
      url: z
        .string()
        .regex(/^(file:|postgres:\/\/|postgresql:\/\/)/, 'must begin with file: or postgres://')
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
