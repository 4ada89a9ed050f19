export interface HealthCheck {
  readonly status: 'healthy' | 'degraded' | 'unhealthy'
  readonly message?: string
}

/** What the health endpoints look at, from memory: anybody may ask, as often as they like. */
export interface HealthSource {
  checks(): Readonly<Record<string, HealthCheck>>
  /** True once the proxy can serve clients, until it begins to stop. */
  isReady(): boolean
}

/** The worst of all checks. */
export function overallStatus(
  checks: Readonly<Record<string, HealthCheck>>,
): HealthCheck['status'] {
  const found = new Set(Object.values(checks).map(({ status }) => status))
  if (found.has('unhealthy')) return 'unhealthy'
  return found.has('degraded') ? 'degraded' : 'healthy'
}
