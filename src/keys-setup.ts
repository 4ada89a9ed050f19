import type { Config } from './config/schema.ts'
import { openLocalKeyProvider } from './kms/local.ts'
import { loadKeyProviders } from './kms/providers.ts'
import type { KeyRegistry } from './kms/registry.ts'
import { selfTest } from './kms/self-test.ts'
import type { Logger } from './observe/logger.ts'

/** Opens the configured key providers. Throws, and says what to do, if one can't be used. */
export function openKeys(config: Config, log: Logger): Promise<KeyRegistry> {
  const { kms, default_key_id, bucket_keys, additional_decrypt_keys } = config.encryption
  const { local } = kms
  return loadKeyProviders({
    defaultProvider: kms.provider,
    open: {
      local: () =>
        openLocalKeyProvider(
          {
            keyStorePath: local.key_store_path,
            keyName: local.key_name,
            ...(local.master_key_file !== undefined && { masterKeyFile: local.master_key_file }),
            ...(local.master_password !== undefined && { masterPassword: local.master_password }),
          },
          log,
        ),
    },
    defaultKey: default_key_id ?? local.key_name,
    bucketKeys: bucket_keys.map(({ bucket, key_id }) => ({ bucket, key: key_id })),
    additionalDecryptKeys: additional_decrypt_keys,
    referenceDefaults: {},
  })
}

/** Proves of every configured key that it is the one in use. Throws KeySelfTestError. */
export async function testKeys(registry: KeyRegistry): Promise<void> {
  for (const key of registry.keys()) await selfTest(registry.provider(key), key.kek)
}
