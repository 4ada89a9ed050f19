import type { Logger } from '../observe/logger.ts'

/** A logger whose lines carry the request's id. */
export function requestLogger(log: Logger, requestId: string): Logger {
  const add = (fields: object) => ({ request_id: requestId, ...fields })
  return {
    debug: (fields, message) => log.debug(add(fields), message),
    info: (fields, message) => log.info(add(fields), message),
    warn: (fields, message) => log.warn(add(fields), message),
    error: (fields, message) => log.error(add(fields), message),
  }
}
