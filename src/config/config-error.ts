export interface ConfigProblem {
  /** Dotted, such as `encryption.kms.provider`; '' for the file as a whole. */
  readonly path: string
  readonly message: string
}

/** Everything that is wrong with a configuration, at once; the message has one line for each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly ConfigProblem[]

  constructor(problems: readonly ConfigProblem[]) {
    super(
      problems
        .map(({ path, message }) => (path === '' ? message : `${path}: ${message}`))
        .join('\n'),
    )
    this.problems = problems
  }
}
