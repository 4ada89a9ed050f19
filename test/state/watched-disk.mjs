// Preloaded into a process and its threads: notes each fsync, and makes it fail while a file exists.
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

const { fsyncSync } = fs
fs.fsyncSync = (file) => {
  if (fs.existsSync(process.env.FAILURES_FILE)) {
    throw Object.assign(new Error('EIO: i/o error, fsync'), { code: 'EIO' })
  }
  fsyncSync(file)
  fs.appendFileSync(process.env.FLUSHES_FILE, '.')
}
syncBuiltinESMExports()
