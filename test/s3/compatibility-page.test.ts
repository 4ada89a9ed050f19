import { readFileSync, writeFileSync } from 'node:fs'
import * as sdk from '@aws-sdk/client-s3'
import { expect, test } from 'vitest'
import { operationTable } from '../../src/s3/operations.ts'

const page = new URL('../../docs/s3-compatibility.md', import.meta.url)

const policies = {
  encrypt: 'body encrypted',
  decrypt: 'body decrypted',
  rewrite: 'sizes, ETags, upload ids or metadata rewritten',
  forward: 'passed on',
} as const

function renderPage(): string {
  const handled = operationTable.map(({ name, policy }) => `| ${name} | ${policies[policy]} |`)
  const names = new Set<string>(operationTable.map(({ name }) => name))
  const refused = Object.keys(sdk)
    .filter((name) => /^[A-Z]\w*Command$/.test(name))
    .map((name) => name.replace(/Command$/, ''))
    .filter((name) => !names.has(name))
    .toSorted()
  return `# S3 compatibility

What isn't handled is refused with \`NotImplemented\`, unknown query parameters and \`x-amz-*\` headers too: nothing is passed on that could mean something else than the proxy thinks. This page is made from the operation table (\`src/s3/operations.ts\`) and from the operations of the AWS SDK; a test compares it.

## Handled

| operation | how |
| --- | --- |
${handled.join('\n')}

## What is different behind this proxy

- ETags are no MD5 sums: they end in \`-1\` or \`-N\`, as with SSE-KMS. They are the same in all answers and work in all conditions.
- Answers say \`x-amz-server-side-encryption: aws:kms\` and the key reference. \`x-amz-server-side-encryption\` in requests (\`AES256\`, \`aws:kms\`) is accepted and changes nothing; customer-provided keys (SSE-C) are refused.
- Checksums in uploads are verified (Content-MD5, \`x-amz-checksum-*\` as header or trailer: CRC32, CRC32C, CRC64NVME, SHA-1, SHA-256) and confirmed in the answer; that of a single PUT is stored under authentication. They aren't returned on reading yet. A checksum of the whole object at CompleteMultipartUpload isn't verified: each part was.
- Part numbers must run from 1 without gaps.
- UploadPartCopy moves the bytes through the proxy, CopyObject doesn't.
- Objects that weren't written through the proxy are refused with \`AccessDenied\`, empty ones and directory markers included. SeaweedFS keeps no metadata for empty objects whose key ends in a slash: there such markers can be written, listed and deleted, but not read.
- Signature Version 4 only, by header or presigned URL.

## Refused

${refused.join(', ')}. Also POST form uploads and anonymous requests.
`
}

test('the compatibility page is what the operation table says', () => {
  if (process.env['UPDATE_PAGES']) writeFileSync(page, renderPage())
  expect(readFileSync(page, 'utf8')).toBe(renderPage())
})
