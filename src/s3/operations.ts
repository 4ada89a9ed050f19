import { S3Error } from './errors.ts'
import type { HeaderMap } from './headers.ts'
import { queryValue, signatureParameters, type Target } from './target.ts'

/** What the proxy does with an operation. */
export type OperationPolicy = 'encrypt' | 'decrypt' | 'rewrite' | 'forward'

interface OperationRow {
  readonly method: string
  readonly scope: 'service' | 'bucket' | 'object'
  readonly policy: OperationPolicy
  /** Query parameters that make a request this operation. */
  readonly requires: readonly string[]
  /** Further query parameters that it may have. */
  readonly allows: readonly string[]
  /** Whether `x-amz-copy-source` must be there; undefined if it has no meaning here. */
  readonly copySource?: boolean
}

const listParameters = ['delimiter', 'encoding-type', 'max-keys', 'prefix']
const responseOverrides = [
  'response-cache-control',
  'response-content-disposition',
  'response-content-encoding',
  'response-content-language',
  'response-content-type',
  'response-expires',
]
const readParameters = ['versionId', 'partNumber', ...responseOverrides]

/**
 * Every operation that isn't refused. What isn't here is NotImplemented: a new operation, query
 * parameter or header is never taken for another that it resembles.
 */
const operations = {
  ListBuckets: row(
    'GET',
    'service',
    'forward',
    [],
    ['max-buckets', 'continuation-token', 'prefix', 'bucket-region'],
  ),
  CreateBucket: row('PUT', 'bucket', 'forward', []),
  HeadBucket: row('HEAD', 'bucket', 'forward', []),
  DeleteBucket: row('DELETE', 'bucket', 'forward', []),
  GetBucketLocation: row('GET', 'bucket', 'forward', ['location']),
  GetBucketVersioning: row('GET', 'bucket', 'forward', ['versioning']),
  PutBucketVersioning: row('PUT', 'bucket', 'forward', ['versioning']),
  ListObjects: row('GET', 'bucket', 'rewrite', [], [...listParameters, 'marker']),
  ListObjectsV2: row(
    'GET',
    'bucket',
    'rewrite',
    ['list-type'],
    [...listParameters, 'continuation-token', 'fetch-owner', 'start-after'],
  ),
  ListObjectVersions: row(
    'GET',
    'bucket',
    'rewrite',
    ['versions'],
    [...listParameters, 'key-marker', 'version-id-marker'],
  ),
  ListMultipartUploads: row(
    'GET',
    'bucket',
    'rewrite',
    ['uploads'],
    ['delimiter', 'encoding-type', 'key-marker', 'max-uploads', 'prefix', 'upload-id-marker'],
  ),
  DeleteObjects: row('POST', 'bucket', 'forward', ['delete']),
  PutObject: row('PUT', 'object', 'encrypt', [], [], false),
  CopyObject: row('PUT', 'object', 'rewrite', [], [], true),
  GetObject: row('GET', 'object', 'decrypt', [], readParameters),
  HeadObject: row('HEAD', 'object', 'rewrite', [], readParameters),
  DeleteObject: row('DELETE', 'object', 'forward', [], ['versionId']),
  GetObjectAcl: row('GET', 'object', 'forward', ['acl'], ['versionId']),
  PutObjectAcl: row('PUT', 'object', 'forward', ['acl'], ['versionId']),
  GetObjectTagging: row('GET', 'object', 'forward', ['tagging'], ['versionId']),
  PutObjectTagging: row('PUT', 'object', 'forward', ['tagging'], ['versionId']),
  DeleteObjectTagging: row('DELETE', 'object', 'forward', ['tagging'], ['versionId']),
  CreateMultipartUpload: row('POST', 'object', 'encrypt', ['uploads']),
  UploadPart: row('PUT', 'object', 'encrypt', ['partNumber', 'uploadId'], [], false),
  UploadPartCopy: row('PUT', 'object', 'encrypt', ['partNumber', 'uploadId'], [], true),
  ListParts: row(
    'GET',
    'object',
    'rewrite',
    ['uploadId'],
    ['max-parts', 'part-number-marker', 'encoding-type'],
  ),
  CompleteMultipartUpload: row('POST', 'object', 'encrypt', ['uploadId']),
  AbortMultipartUpload: row('DELETE', 'object', 'rewrite', ['uploadId']),
} as const satisfies Record<string, OperationRow>

export type OperationName = keyof typeof operations

function row(
  method: string,
  scope: OperationRow['scope'],
  ...[policy, requires, allows = [], copySource]: [
    policy: OperationPolicy,
    requires: readonly string[],
    allows?: readonly string[],
    copySource?: boolean,
  ]
): OperationRow {
  const common = { method, scope, policy, requires, allows }
  return copySource === undefined ? common : { ...common, copySource }
}

const rows: readonly [OperationName, OperationRow][] = Object.entries(operations).map(
  ([name, entry]) => [name as OperationName, entry],
)

/** Every operation with its policy, for the documentation and its tests. */
export const operationTable: readonly (OperationRow & { readonly name: OperationName })[] =
  rows.map(([name, entry]) => ({ name, ...entry }))

const knownAmzHeaders =
  /^x-amz-(acl|bypass-governance-retention|bucket-object-lock-enabled|checksum-(algorithm|crc32|crc32c|crc64nvme|sha1|sha256|mode|type)|content-sha256|copy-source(-if-(match|none-match|modified-since|unmodified-since)|-range)?|date|decoded-content-length|expected-bucket-owner|source-expected-bucket-owner|grant-[a-z-]+|meta-.+|metadata-directive|mfa|mp-object-size|object-lock-(mode|retain-until-date|legal-hold)|object-ownership|optional-object-attributes|request-payer|sdk-checksum-algorithm|server-side-encryption(-aws-kms-key-id|-bucket-key-enabled|-context)?|storage-class|tagging|tagging-directive|trailer|user-agent|website-redirect-location)$/

export interface RoutedRequest {
  readonly method: string
  readonly target: Target
  /** Those of a presigned URL included. */
  readonly headers: HeaderMap
}

/**
 * The operation that a request is; never a guess. Throws NotImplemented, MethodNotAllowed, or
 * InvalidArgument for a parameter that is given twice.
 */
export function route(request: RoutedRequest): OperationName {
  const { method, target, headers } = request
  if (!['GET', 'HEAD', 'PUT', 'POST', 'DELETE'].includes(method)) {
    throw new S3Error('MethodNotAllowed', 'The specified method is not allowed.', {
      fields: { Method: method },
    })
  }
  checkHeaders(headers)
  const names = selectingParameters(target)
  const scope = target.bucket === null ? 'service' : target.rawKey === '' ? 'bucket' : 'object'
  const found = rows.find(([name, entry]) => isMatch(name, entry, { request, scope, names }))
  if (found) return found[0]
  const what = [...names].toSorted().join('&')
  const subject = { service: 'the service', bucket: 'a bucket', object: 'an object' }[scope]
  const query = what === '' ? '' : ` with ?${what}`
  throw notImplemented(`${method} of ${subject}${query} is not supported by this proxy.`)
}

/** Names of the parameters that an operation must know. */
function selectingParameters(target: Target): ReadonlySet<string> {
  const names = new Set<string>()
  for (const { name } of target.query) {
    if (signatureParameters.test(name)) continue
    // Which of two values counts is for every server to choose: ours and the backend's may differ.
    if (names.has(name)) {
      throw new S3Error('InvalidArgument', `The parameter ${name} is given twice.`, {
        fields: { ArgumentName: name },
      })
    }
    names.add(name)
  }
  return names
}

function isMatch(
  name: OperationName,
  entry: OperationRow,
  asked: { request: RoutedRequest; scope: OperationRow['scope']; names: ReadonlySet<string> },
): boolean {
  const { request, scope, names } = asked
  const isCopy = request.headers.has('x-amz-copy-source')
  const sdkName = queryValue(request.target, 'x-id')
  return (
    (sdkName === null || sdkName === name) &&
    entry.method === request.method &&
    entry.scope === scope &&
    entry.requires.every((parameter) => names.has(parameter)) &&
    [...names].every((p) => entry.requires.includes(p) || entry.allows.includes(p)) &&
    (entry.copySource ?? false) === isCopy &&
    (name !== 'ListObjectsV2' || queryValue(request.target, 'list-type') === '2')
  )
}

function checkHeaders(headers: HeaderMap): void {
  for (const name of headers.keys()) {
    if (/^x-amz-(copy-source-)?server-side-encryption-customer-/.test(name)) {
      throw notImplemented(
        'Customer-provided keys (SSE-C) are not supported: the proxy holds the keys.',
      )
    }
    if (name.startsWith('x-amz-') && !knownAmzHeaders.test(name)) {
      throw notImplemented(`The header ${name} is not supported by this proxy.`)
    }
  }
}

function notImplemented(message: string): S3Error {
  return new S3Error('NotImplemented', message)
}
