import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LocalKeyOptions, LocalKeyProvider } from '../../src/kms/local.ts'
import { openLocalKeyProvider } from '../../src/kms/local.ts'
import type { Logger } from '../../src/observe/logger.ts'

/** A folder with a master key file and room for a key store, for one test. */
export interface LocalFolder {
  readonly store: string
  readonly options: LocalKeyOptions
  /** What was logged, as text. */
  readonly log: string[]
  open(changes?: Partial<LocalKeyOptions>): Promise<LocalKeyProvider>
  /** The path of the one key file. */
  keyFile(): Promise<string>
  /** Rewrites a JSON file of the store. */
  edit(path: string, change: (text: string) => string): Promise<void>
  remove(): Promise<void>
}

export async function makeLocalFolder(): Promise<LocalFolder> {
  const root = await mkdtemp(join(tmpdir(), 'local-keys-'))
  const store = join(root, 'kms', 'keys')
  const masterKeyFile = join(root, 'master.key')
  await writeFile(masterKeyFile, randomBytes(32).toString('hex'), { mode: 0o600 })
  const options = { keyStorePath: store, masterKeyFile, keyName: 'nebulaio-master' }
  const log: string[] = []
  return {
    store,
    options,
    log,
    open: (changes = {}) => openLocalKeyProvider({ ...options, ...changes }, recordingLogger(log)),
    async keyFile() {
      const names = (await readdir(store)).filter((name) => name.endsWith('.key.json'))
      if (names.length !== 1 || names[0] === undefined)
        throw new Error(`key files: ${names.join()}`)
      return join(store, names[0])
    },
    async edit(path, change) {
      await writeFile(path, change(await readFile(path, 'utf8')))
    },
    remove: () => rm(root, { recursive: true, force: true }),
  }
}

function recordingLogger(log: string[]): Logger {
  const record = (fields: object, message: string) => {
    log.push(`${message} ${JSON.stringify(fields)}`)
  }
  return { debug: record, info: record, warn: record, error: record }
}
