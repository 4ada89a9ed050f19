import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { awsCli, hasPythonClients, hasRestic, python } from '../support/clients.ts'
import { rclone, restic, s3cmd } from '../support/clients.ts'
import type { S3Target } from '../support/services.ts'

const service = inject('services').seaweedfs

describe.skipIf(service === null)('a client without the proxy', () => {
  const target: S3Target = service ?? {
    endpoint: '',
    region: '',
    accessKeyId: '',
    secretAccessKey: '',
  }
  const bucket = `clients-${randomUUID()}`
  const body = randomBytes(100_000)
  let folder = ''
  let file = ''
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nebulaio-clients-'))
    file = join(folder, 'file')
    await writeFile(file, body)
    if (hasPythonClients()) await succeeds(awsCli(['s3', 'mb', `s3://${bucket}`], target))
  })
  afterAll(async () => {
    await rm(folder, { recursive: true })
  })

  async function succeeds(run: ReturnType<typeof awsCli>): Promise<string> {
    const { code, stdout, stderr } = await run
    expect({ code, stderr }).toMatchObject({ code: 0 })
    return stdout
  }

  test.skipIf(!hasPythonClients())('aws-cli writes and reads', async () => {
    const back = join(folder, 'aws')
    await succeeds(awsCli(['s3', 'cp', file, `s3://${bucket}/aws`], target))
    await succeeds(awsCli(['s3', 'cp', `s3://${bucket}/aws`, back], target))
    expect((await readFile(back)).equals(body)).toBe(true)
  })

  test.skipIf(!hasPythonClients())('s3cmd writes and reads', async () => {
    const back = join(folder, 's3cmd')
    await succeeds(s3cmd(['put', file, `s3://${bucket}/s3cmd`], target))
    await succeeds(s3cmd(['get', `s3://${bucket}/s3cmd`, back], target))
    expect((await readFile(back)).equals(body)).toBe(true)
  })

  test.skipIf(!hasPythonClients())('rclone writes and reads', async () => {
    const back = join(folder, 'rclone')
    await succeeds(rclone(['copyto', file, `s3:${bucket}/rclone`], target))
    await succeeds(rclone(['copyto', `s3:${bucket}/rclone`, back], target))
    expect((await readFile(back)).equals(body)).toBe(true)
  })

  test.skipIf(!hasPythonClients())('boto3 writes and reads', async () => {
    const program = `
import boto3, sys
s3 = boto3.client('s3')
s3.put_object(Bucket=sys.argv[1], Key='boto3', Body=b'text', Metadata={'a': 'b'})
got = s3.get_object(Bucket=sys.argv[1], Key='boto3')
print(got['Body'].read().decode(), got['Metadata']['a'])
`
    expect(await succeeds(python(program, target, [bucket]))).toBe('text b\n')
  })

  test.skipIf(!hasRestic())('restic backs up and checks', async () => {
    const repository = { bucket: `restic-${randomUUID()}` }
    await succeeds(restic(['init'], target, repository))
    await succeeds(restic(['backup', file], target, repository))
    const checked = await succeeds(restic(['check', '--read-data'], target, repository))
    expect(checked).toContain('no errors were found')
  })

  test.skipIf(!hasPythonClients())('fails with the wrong secret', async () => {
    const stranger = { ...target, secretAccessKey: 'wrong-secret-key' }
    const { code, stderr } = await awsCli(['s3', 'ls', `s3://${bucket}`], stranger)
    expect(code).not.toBe(0)
    expect(stderr).toContain('SignatureDoesNotMatch')
  })
})
