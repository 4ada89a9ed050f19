/** The messages of an error and of what caused it, for a log line. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const own = error.message === '' ? error.name : error.message
  const inner = error instanceof AggregateError ? error.errors : [error.cause]
  const texts = inner.filter((cause) => cause instanceof Error).map(errorText)
  return [own, ...texts].join(': ')
}
