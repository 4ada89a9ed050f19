import { isIPv4 } from 'node:net'
import type { ConfigProblem } from './config-error.ts'
import type { Config } from './schema.ts'

/** The names that log lines carry as their component. */
export const logComponents = ['kms', 'encryption', 'backend', 's3', 'state', 'admin', 'server']

const oneHourMs = 3_600_000

/** What a valid configuration allows, but an operator should know about. */
export function findWarnings(config: Config): ConfigProblem[] {
  const { backend, server, encryption, logging } = config
  const warnings: ConfigProblem[] = []
  const url = new URL(backend.endpoint)
  if (url.protocol === 'http:' && !isLoopback(url.hostname) && backend.payload === 'unsigned') {
    warnings.push({
      path: 'backend.payload',
      message:
        'uploads over plain HTTP with unsigned payloads can be changed on the way unnoticed until they are read',
    })
  }
  if (!server.tls && !isLoopback(server.listen.host)) {
    warnings.push({
      path: 'server.tls',
      message: 'clients reach the proxy without TLS: what they send can be read on the way',
    })
  }
  if (encryption.envelope.dek_cache_ttl > oneHourMs) {
    warnings.push({
      path: 'encryption.envelope.dek_cache_ttl',
      message: 'keys stay usable for more than an hour after the KMS has withdrawn them',
    })
  }
  for (const name of Object.keys(logging.components)) {
    if (logComponents.includes(name)) continue
    warnings.push({
      path: `logging.components.${name}`,
      message: `unknown component (${logComponents.join(', ')})`,
    })
  }
  return warnings
}

function isLoopback(host: string): boolean {
  return (
    host === 'localhost' ||
    host === '::1' ||
    host === '[::1]' ||
    (isIPv4(host) && host.startsWith('127.'))
  )
}
