import { format, resolveConfig } from 'prettier'
import { operationTable } from '../../src/s3/operations.ts'
import { modelOperations } from './s3-model.ts'

type Row = (typeof operationTable)[number]

const policies: Readonly<Record<Row['policy'], string>> = {
  encrypt: 'encrypted on the way in',
  decrypt: 'decrypted on the way out',
  rewrite: 'sizes, ETags, upload ids or metadata rewritten',
  forward: 'passed on',
}

/** Why operations of the S3 model are refused; patterns are whole names, the first one counts. */
const refusals: readonly (readonly [pattern: string, reason: string])[] = [
  [
    '(Get|Put|List|Delete)ObjectAnnotations?',
    'Annotations are contents of an object that would be stored unencrypted.',
  ],
  ['UpdateObjectEncryption', 'The proxy alone holds the keys.'],
  ['RenameObject', 'The keys of an object are bound to its name: copy and delete instead.'],
  ['CreateSession|ListDirectoryBuckets', 'Directory buckets are not supported.'],
  ['SelectObjectContent', 'The backend would have to read the plaintext.'],
  ['GetObjectTorrent', 'It would hand out stored bytes.'],
  ['WriteGetObjectResponse', 'It belongs to functions that run at the backend.'],
  [
    'GetObjectAttributes',
    'The backend’s answer describes the stored bytes: HeadObject and ListParts tell the same of the plaintext.',
  ],
  ['RestoreObject', 'Archives are managed at the backend.'],
  [
    '(Get|Put)Object(LegalHold|Retention)',
    'Locks can be set with the headers of an upload; afterwards they are managed at the backend.',
  ],
  [
    '(Create|Get|Put|List|Delete|Update)(Bucket\\w+|PublicAccessBlock|ObjectLockConfiguration)',
    'Buckets are configured at the backend: the rules would name its users, and its reports its sizes.',
  ],
]

/** The page `docs/s3-compatibility.md`. Throws if a refused operation has no reason or a reason no operation. */
export async function renderCompatibilityPage(): Promise<string> {
  const page = `# S3 compatibility

What isn't handled is refused with \`NotImplemented\`, unknown query parameters and \`x-amz-*\` headers too: nothing is passed on that could mean something else than the proxy thinks. This page is made from the operation table (\`src/s3/operations.ts\`) and from the S3 model of the AWS SDK; a test compares it.

## Handled

| operation | request | further parameters | how |
| --- | --- | --- | --- |
${operationTable.map(handledRow).join('\n')}

## What is different behind this proxy

- ETags are no MD5 sums: they end in \`-1\` or \`-N\`, as with SSE-KMS. They are the same in all answers and work in all conditions.
- Answers say \`x-amz-server-side-encryption: aws:kms\` and the key reference. \`x-amz-server-side-encryption\` in requests (\`AES256\`, \`aws:kms\`) is accepted and changes nothing; customer-provided keys (SSE-C) are refused.
- Checksums in uploads are verified (Content-MD5, \`x-amz-checksum-*\` as header or trailer: CRC32, CRC32C, CRC64NVME, SHA-1, SHA-256) and confirmed in the answer; that of a single PUT is stored under authentication. They aren't returned on reading. A checksum of the whole object at CompleteMultipartUpload isn't verified: each part was.
- Part numbers must run from 1 without gaps.
- UploadPartCopy moves the bytes through the proxy, CopyObject doesn't.
- Objects that weren't written through the proxy are refused with \`AccessDenied\`, empty ones and directory markers included. SeaweedFS keeps no metadata for empty objects whose key ends in a slash: there such markers can be written, listed and deleted, but not read.
- Signature Version 4 only, by header or presigned URL. \`x-amz-*\` parameters of a presigned URL count as headers.
- A query parameter that is given twice is refused with \`InvalidArgument\`.
- Answers have only the headers that S3 documents for an object or a bucket; the backend's own ones and redirects to other hosts are left out.

## Refused

| why | operations |
| --- | --- |
${refusedRows().join('\n')}
| Requests must be signed by header or URL. | POST form uploads and anonymous requests |
`
  const config = await resolveConfig(new URL(import.meta.url).pathname)
  return format(page, { ...config, parser: 'markdown' })
}

function handledRow({ name, method, scope, requires, allows, policy, ...rest }: Row): string {
  const path = { service: '/', bucket: '/bucket', object: '/bucket/key' }[scope]
  const query = requires.map((parameter) => (parameter === 'list-type' ? 'list-type=2' : parameter))
  const target = query.length === 0 ? path : `${path}?${query.join('&')}`
  const header = rest.copySource === true ? ' with `x-amz-copy-source`' : ''
  const further = allows.map((parameter) => `\`${parameter}\``).join(', ')
  return `| ${name} | \`${method} ${target}\`${header} | ${further} | ${policies[policy]} |`
}

function refusedRows(): string[] {
  const handled: ReadonlySet<string> = new Set(operationTable.map(({ name }) => name))
  const groups = new Map<string, string[]>(refusals.map(([, reason]) => [reason, []]))
  for (const { name } of modelOperations) {
    if (handled.has(name)) continue
    const found = refusals.find(([pattern]) => new RegExp(`^(${pattern})$`).test(name))
    if (!found) throw new Error(`no reason why ${name} is refused`)
    groups.get(found[1])?.push(name)
  }
  return [...groups].map(([reason, names]) => {
    if (names.length === 0) throw new Error(`nothing is refused because "${reason}"`)
    return `| ${reason} | ${names.toSorted().join(', ')} |`
  })
}
