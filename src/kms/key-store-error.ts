/** A fault of the local key store's files. The message begins with the file; it holds no secrets. */
export class KeyStoreError extends Error {
  override readonly name = 'KeyStoreError'
  readonly file: string

  constructor(file: string, problem: string, options: { cause?: unknown } = {}) {
    super(`${file}: ${problem}`, options)
    this.file = file
  }
}

/** Runs a file operation; what the system refuses becomes a {@link KeyStoreError} naming the file. */
export async function namingFile<T>(file: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation()
  } catch (error) {
    if (error instanceof KeyStoreError || !isSystemError(error)) throw error
    throw new KeyStoreError(file, error.message, { cause: error })
  }
}

/** Whether the system answered that the file isn't there. */
export function isMissing(error: unknown): boolean {
  return isSystemError(error) && error.code === 'ENOENT'
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && 'syscall' in error
}
