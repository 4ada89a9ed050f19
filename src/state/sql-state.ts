/** Connection, authorization, serialization, resources, operator intervention, system error. */
const outageClasses: ReadonlySet<string> = new Set(['08', '28', '40', '53', '57', '58'])
/** A standby, which takes no writes. */
const readOnlyTransaction = '25006'

/**
 * True if a SQLSTATE says that the server can't work now, false if it refuses the statement itself
 * (https://www.postgresql.org/docs/current/errcodes-appendix.html).
 */
export function isOutage(sqlState: string | undefined): boolean {
  const code = sqlState ?? ''
  return code === readOnlyTransaction || outageClasses.has(code.slice(0, 2))
}
