import { resolve } from 'node:path'
import type { Config } from './schema.ts'

/** The same configuration with every path absolute; relative ones count from `baseDir`. */
export function withAbsolutePaths(config: Config, baseDir: string): Config {
  const absolute = (path: string): string => resolve(baseDir, path)
  const { server, backend, encryption, state } = config
  const { local } = encryption.kms
  const { ca_file, cert_file, key_file } = backend.tls
  const { tls: serverTls, ...plainServer } = server
  const { master_key_file, ...plainLocal } = local
  return {
    ...config,
    server: {
      ...plainServer,
      ...(serverTls && {
        tls: { cert_file: absolute(serverTls.cert_file), key_file: absolute(serverTls.key_file) },
      }),
    },
    backend: {
      ...backend,
      tls: {
        ...(ca_file !== undefined && { ca_file: absolute(ca_file) }),
        ...(cert_file !== undefined && { cert_file: absolute(cert_file) }),
        ...(key_file !== undefined && { key_file: absolute(key_file) }),
      },
    },
    state: {
      url: state.url.startsWith('file:')
        ? `file:${absolute(state.url.slice('file:'.length))}`
        : state.url,
    },
    encryption: {
      ...encryption,
      kms: {
        ...encryption.kms,
        local: {
          ...plainLocal,
          key_store_path: absolute(local.key_store_path),
          ...(master_key_file !== undefined && { master_key_file: absolute(master_key_file) }),
        },
      },
    },
  }
}
