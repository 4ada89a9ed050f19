// A process of its own for tests: node local-process.ts <open|rotate|hold> <options as JSON>
import { join } from 'node:path'
import { withFileLock } from '../../src/kms/file-lock.ts'
import type { LocalKeyOptions } from '../../src/kms/local.ts'
import { openLocalKeyProvider } from '../../src/kms/local.ts'

const silent = { debug() {}, info() {}, warn() {}, error() {} }
const rotations = 5
const context = { bucket: 'pii-data' }

async function open(options: LocalKeyOptions) {
  const provider = await openLocalKeyProvider(options, silent)
  const { plaintext, wrapped, kekVersion } = await provider.generateDataKey(
    options.keyName,
    context,
  )
  await provider.close()
  return [{ plaintext: plaintext.toString('hex'), wrapped: wrapped.toString('hex'), kekVersion }]
}

async function rotate(options: LocalKeyOptions) {
  const provider = await openLocalKeyProvider(options, silent)
  const keys = []
  for (let round = 0; round < rotations; round += 1) {
    await provider.rotate(options.keyName)
    const { plaintext, wrapped, kekVersion } = await provider.generateDataKey(
      options.keyName,
      context,
    )
    keys.push({
      plaintext: plaintext.toString('hex'),
      wrapped: wrapped.toString('hex'),
      kekVersion,
    })
  }
  await provider.close()
  return keys
}

async function hold(options: LocalKeyOptions) {
  const path = join(options.keyStorePath, 'keystore.lock')
  const forever = async () => {
    process.stdout.write('held\n')
    await new Promise((resolve) => setTimeout(resolve, 600_000))
  }
  await withFileLock(path, forever, { timeoutMs: 1000 })
  return []
}

const [command, json = '{}'] = process.argv.slice(2)
const run = { open, rotate, hold }[command ?? '']
if (run === undefined) throw new Error(`no command ${command}`)
process.stdout.write(JSON.stringify(await run(JSON.parse(json))))
