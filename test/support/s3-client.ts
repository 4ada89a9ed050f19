import { S3Client } from '@aws-sdk/client-s3'
import type { S3ClientConfig } from '@aws-sdk/client-s3'
import type { S3Target } from './services.ts'

/** An SDK client for a target, path-style and without retries; the caller destroys it. */
export function s3Client(target: S3Target, config: S3ClientConfig = {}): S3Client {
  const { endpoint, region, accessKeyId, secretAccessKey } = target
  return new S3Client({
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey },
    forcePathStyle: true,
    maxAttempts: 1,
    ...config,
  })
}

/** The whole body of a GetObject answer. */
export async function bodyBytes(
  body: { transformToByteArray(): Promise<Uint8Array> } | undefined,
): Promise<Buffer> {
  if (!body) throw new Error('answer without a body')
  return Buffer.from(await body.transformToByteArray())
}
