/**
 * Stored bytes or metadata are not what a writer with the key made. The message is exact and meant
 * for logs; clients only learn that the object can't be read.
 */
export class IntegrityError extends Error {
  override readonly name: string = 'IntegrityError'
}

/** A tag, commitment or MAC doesn't verify: changed bytes, or another key, place or name. */
export class AuthenticationError extends IntegrityError {
  override readonly name = 'AuthenticationError'
}

/** The stored bytes end too early or go on too long. */
export class TruncationError extends IntegrityError {
  override readonly name = 'TruncationError'
}

/** A header, record or envelope isn't well-formed, or is of a version that we don't know. */
export class FormatError extends IntegrityError {
  override readonly name = 'FormatError'
}
