import { inspect } from 'node:util'

/** An access key pair of a client. The secret prints as a placeholder; `reveal` is its only reader. */
export class Credential {
  readonly accessKeyId: string
  readonly #secretAccessKey: string

  constructor(accessKeyId: string, secretAccessKey: string) {
    this.accessKeyId = accessKeyId
    this.#secretAccessKey = secretAccessKey
  }

  reveal(): string {
    return this.#secretAccessKey
  }

  toJSON(): object {
    return { accessKeyId: this.accessKeyId }
  }

  [inspect.custom](): string {
    return `[Credential ${this.accessKeyId}]`
  }
}

export interface CredentialStore {
  /** The credential of this access key id; null if there is none. */
  find(accessKeyId: string): Credential | null
}

/** Credentials that are known from the start. */
export function fixedCredentials(credentials: readonly Credential[]): CredentialStore {
  const byId = new Map(credentials.map((credential) => [credential.accessKeyId, credential]))
  return { find: (accessKeyId) => byId.get(accessKeyId) ?? null }
}
