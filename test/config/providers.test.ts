import { describe, expect, test } from 'vitest'
import { minimal, parse, problems } from './settings.ts'

const { backend, credentials } = minimal()
const around = `backend: ${JSON.stringify(backend)}\ncredentials: ${JSON.stringify(credentials)}\n`

/** What documents of other versions say, as it stands there. */
const blocks = {
  vault: `
encryption:
  enabled: true
  kms:
    provider: vault
    vault:
      address: https://vault.example.com:8200
      token: \${VAULT_TOKEN}
      namespace: admin                    # Enterprise only
      mount_path: transit
      key_name: nebulaio-master

      # TLS settings
      tls_ca_cert: /etc/nebulaio/vault-ca.crt
      tls_client_cert: /etc/nebulaio/vault-client.crt
      tls_client_key: /etc/nebulaio/vault-client.key
      tls_skip_verify: false              # Never in production

      # Connection settings
      timeout: 30s
      max_retries: 3
      key_cache_ttl: 5m
`,
  aws: `
encryption:
  enabled: true
  kms:
    provider: aws
    aws:
      region: us-east-1
      key_id: arn:aws:kms:us-east-1:123456789012:key/12345678-1234-1234-1234-123456789012
      use_iam_role: true
      access_key_id: \${AWS_ACCESS_KEY_ID}
      secret_access_key: \${AWS_SECRET_ACCESS_KEY}
      role_arn: arn:aws:iam::123456789012:role/NebulaIOKMSRole
      external_id: nebulaio-external-id
      endpoint: ""                        # Custom endpoint (LocalStack)
      key_cache_ttl: 5m
`,
  azure: `
encryption:
  enabled: true
  kms:
    provider: azure
    azure:
      vault_url: https://nebulaio-kv.vault.azure.net/
      key_name: nebulaio-master
      key_version: ""                     # Empty for latest
      use_managed_identity: true
      tenant_id: \${AZURE_TENANT_ID}
      client_id: \${AZURE_CLIENT_ID}
      client_secret: \${AZURE_CLIENT_SECRET}
      key_cache_ttl: 5m
`,
  gcp: `
encryption:
  enabled: true
  kms:
    provider: gcp
    gcp:
      project_id: my-project
      location: us-central1
      key_ring: nebulaio-keyring
      key_name: nebulaio-master
      key_version: 1                      # 0 for latest
      use_default_credentials: true
      credentials_file: /etc/nebulaio/gcp-sa.json
      key_cache_ttl: 5m
`,
}

const localKms = `
encryption:
  enabled: true
  kms:
    provider: local
    local:
      master_password: \${NEBULAIO_MASTER_PASSWORD}
`
const env = { NEBULAIO_MASTER_PASSWORD: 'a long enough password' }

describe('other key management services', () => {
  test.each(Object.entries(blocks))('%s: its block says that it is not available', (id, block) => {
    const message = `the provider "${id}" is not available in this version (local)`
    expect(problems(around + block)).toEqual([
      `encryption.kms.provider: ${message}`,
      `encryption.kms.${id}: ${message}`,
    ])
  })

  test('a block beside the local one is refused, too', () => {
    expect(problems(`${around}${localKms}    gcp: {project_id: p}\n`, env)).toEqual([
      'encryption.kms.gcp: the provider "gcp" is not available in this version (local)',
    ])
  })

  test.each(['hsm', 'Vault', '', 'local '])('there is none called %j', (id) => {
    const text = `${around}${localKms.replace('provider: local', `provider: ${JSON.stringify(id)}`)}`
    expect(problems(text, env)).toEqual([
      `encryption.kms.provider: unknown provider "${id}" (vault, aws, azure, gcp, local)`,
    ])
  })

  test('rotation by policy says that it is not available', () => {
    const policy = `
  key_rotation:
    enabled: true
    check_interval: 1h
    policies:
      - key_type: MASTER
        rotation_interval: 8760h          # 1 year
`
    expect(problems(around + localKms + policy, env)).toEqual([
      expect.stringMatching(/^encryption\.key_rotation: rotation by policy is not available/),
    ])
  })
})

describe('the local key store', () => {
  const documented = `
  default_key_id: default-master-key

  bucket_keys:
    - bucket: pii-data
      key_id: local:pii-key
      algorithm: AES_256_GCM

    - bucket: financial-records
      key_id: finance-key
      algorithm: AES-256-GCM
  envelope:
    enabled: true
    dek_algorithm: AES-256-GCM
    dek_cache_ttl: 5m
    dek_cache_max_size: 10000
logging:
  level: debug
  components:
    kms: debug
    encryption: debug
`

  test('takes keys of buckets, envelope and logging as documented', () => {
    const { config, warnings } = parse(around + localKms + documented, env)
    expect(warnings).toEqual([])
    expect(config.encryption.default_key_id).toBe('default-master-key')
    expect(config.encryption.bucket_keys).toEqual([
      { bucket: 'pii-data', key_id: 'local:pii-key', algorithm: 'AES_256_GCM' },
      { bucket: 'financial-records', key_id: 'finance-key', algorithm: 'AES_256_GCM' },
    ])
    expect(config.encryption.envelope.dek_algorithm).toBe('AES_256_GCM')
    expect(config.logging).toEqual({
      level: 'debug',
      components: { kms: 'debug', encryption: 'debug' },
    })
  })

  test('works under a master key file', () => {
    const text = localKms.replace(/master_password: .*/, 'master_key_file: ./master.key')
    const { local } = parse(around + text).config.encryption.kms
    expect(local.master_key_file).toBe('/base/master.key')
    expect(local.master_password).toBeUndefined()
  })
})
