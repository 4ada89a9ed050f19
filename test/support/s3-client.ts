import { S3Client } from '@aws-sdk/client-s3'

export interface S3Endpoint {
  readonly endpoint: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

/** An SDK client as applications configure it, path addressing, one attempt. */
export function s3Client(target: S3Endpoint): S3Client {
  return new S3Client({
    endpoint: target.endpoint,
    region: target.region,
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: {
      accessKeyId: target.accessKeyId,
      secretAccessKey: target.secretAccessKey,
    },
  })
}

/** The whole body of a GetObject answer. */
export async function bodyBytes(
  body: { transformToByteArray(): Promise<Uint8Array> } | undefined,
): Promise<Buffer> {
  if (!body) throw new Error('answer without a body')
  return Buffer.from(await body.transformToByteArray())
}
