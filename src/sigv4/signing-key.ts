import { createHmac } from 'node:crypto'

export const algorithm = 'AWS4-HMAC-SHA256'
export const service = 's3'
export const terminator = 'aws4_request'
const maxCachedKeys = 1000

/** `YYYYMMDD/region/s3/aws4_request`. */
export function credentialScope(day: string, region: string): string {
  return `${day}/${region}/${service}/${terminator}`
}

/** `YYYYMMDDTHHMMSSZ`. */
export function amzDate(now: Date): string {
  return now.toISOString().replace(/[-:]|\.\d{3}/g, '')
}

const cache = new Map<string, Buffer>()

/** The signing key of a secret for one day and region; the last 1,000 are remembered. */
export function signingKey(secretAccessKey: string, day: string, region: string): Buffer {
  const id = `${day}/${region}/${secretAccessKey}`
  const cached = cache.get(id)
  if (cached) return cached
  const key = [day, region, service, terminator].reduce<Buffer>(
    (previous, text) => hmac(previous, text),
    Buffer.from(`AWS4${secretAccessKey}`, 'utf8'),
  )
  if (cache.size >= maxCachedKeys) cache.clear()
  cache.set(id, key)
  return key
}

export function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text, 'latin1').digest()
}

export function stringToSign(amzDateText: string, scope: string, requestSha256: string): string {
  return `${algorithm}\n${amzDateText}\n${scope}\n${requestSha256}`
}
