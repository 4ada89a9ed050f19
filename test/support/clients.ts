import { join } from 'node:path'
import { inject } from 'vitest'
import { runCommand } from '../../src/demo/command.ts'
import type { CommandResult } from '../../src/demo/command.ts'
import type { S3Target } from './services.ts'

const timeoutMs = 120_000

/** Whether boto3, aws-cli, s3cmd and rclone can be used on this machine. */
export const hasPythonClients = (): boolean => inject('pythonClients') !== null

/** Whether restic can be used on this machine. */
export const hasRestic = (): boolean => inject('restic') !== null

/** Runs aws-cli (v1), for example with `['s3', 'ls']`. */
export function awsCli(args: readonly string[], target: S3Target): Promise<CommandResult> {
  return runPython(['-m', 'awscli', ...args], target)
}

/** Runs a Python program given as text, in which `boto3.client('s3')` reaches the target. */
export function python(
  program: string,
  target: S3Target,
  args: readonly string[] = [],
): Promise<CommandResult> {
  return runPython(['-c', program, ...args], target)
}

/** Runs s3cmd, for example with `['ls', 's3://bucket']`. */
export function s3cmd(args: readonly string[], target: S3Target): Promise<CommandResult> {
  const { host } = new URL(target.endpoint)
  const settings = {
    config: '/dev/null',
    host,
    'host-bucket': host,
    region: target.region,
    access_key: target.accessKeyId,
    secret_key: target.secretAccessKey,
  }
  const options = Object.entries(settings).map(([name, value]) => `--${name}=${value}`)
  if (target.endpoint.startsWith('http:')) options.push('--no-ssl')
  return runPython([join(pythonClients().folder, 'bin', 's3cmd'), ...options, ...args], target)
}

/** Runs rclone, for which the target is the remote `s3:`, as in `['lsf', 's3:bucket']`. */
export function rclone(args: readonly string[], target: S3Target): Promise<CommandResult> {
  const remote = {
    TYPE: 's3',
    PROVIDER: 'Other',
    ENDPOINT: target.endpoint,
    REGION: target.region,
    ACCESS_KEY_ID: target.accessKeyId,
    SECRET_ACCESS_KEY: target.secretAccessKey,
    FORCE_PATH_STYLE: 'true',
  }
  const settings = Object.entries(remote).map(([name, value]) => [
    `RCLONE_CONFIG_S3_${name}`,
    value,
  ])
  const env = { ...cleanEnv(), RCLONE_CONFIG: '/dev/null', ...Object.fromEntries(settings) }
  const program = join(pythonClients().folder, 'bin', 'rclone')
  return runCommand(program, ['--retries', '1', ...args], { timeoutMs, env })
}

/** Runs a line of shell that calls `aws`, `rclone` or other programs, with nothing but what it says. */
export function shell(line: string): Promise<CommandResult> {
  const { folder } = pythonClients()
  const path = `${join(folder, 'bin')}:${process.env['PATH']}`
  const env = { ...cleanEnv(), PATH: path, PYTHONPATH: folder, RCLONE_CONFIG: '/dev/null' }
  return runCommand('sh', ['-c', line], { timeoutMs, env })
}

/** Runs restic on the repository that fills a bucket. */
export function restic(
  args: readonly string[],
  target: S3Target,
  options: { bucket: string },
): Promise<CommandResult> {
  const program = inject('restic')
  if (program === null) throw new Error('restic is missing on this machine')
  const env = {
    ...cleanEnv(),
    ...awsEnv(target),
    RESTIC_REPOSITORY: `s3:${target.endpoint}/${options.bucket}`,
    RESTIC_PASSWORD: 'test',
  }
  return runCommand(program, ['--no-cache', ...args], { timeoutMs, env })
}

function runPython(args: readonly string[], target: S3Target): Promise<CommandResult> {
  const { interpreter, folder } = pythonClients()
  const env = { ...cleanEnv(), ...awsEnv(target), PYTHONPATH: folder, PYTHONNOUSERSITE: '1' }
  return runCommand(interpreter, args, { timeoutMs, env })
}

function pythonClients() {
  const found = inject('pythonClients')
  if (found === null) throw new Error('the Python clients are missing on this machine')
  return found
}

/** Nothing of the user's own settings and credentials reaches a client. */
function cleanEnv(): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], HOME: inject('clientHome'), LANG: 'C.UTF-8' }
}

function awsEnv(target: S3Target): NodeJS.ProcessEnv {
  return {
    AWS_ACCESS_KEY_ID: target.accessKeyId,
    AWS_SECRET_ACCESS_KEY: target.secretAccessKey,
    AWS_DEFAULT_REGION: target.region,
    AWS_ENDPOINT_URL: target.endpoint,
    AWS_EC2_METADATA_DISABLED: 'true',
  }
}
