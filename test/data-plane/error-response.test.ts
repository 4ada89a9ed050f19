import { describe, expect, test } from 'vitest'
import { BackendError } from '../../src/backend/client.ts'
import { describeError } from '../../src/data-plane/error-response.ts'
import { KeyProviderError, type KeyProviderErrorCode } from '../../src/kms/provider.ts'
import { BackendFailure } from '../../src/ops/backend-call.ts'
import { S3Error } from '../../src/s3/errors.ts'
import { StateUnavailableError } from '../../src/state/ports.ts'
import {
  AuthenticationError,
  FormatError,
  IntegrityError,
  TruncationError,
} from '../../src/stream/errors.ts'

function keyError(code: KeyProviderErrorCode): KeyProviderError {
  return new KeyProviderError(code, 'words of the provider', { provider: 'local', kek: 'k' })
}

const failure = new BackendFailure({
  status: 403,
  headers: {},
  body: Buffer.from('<Error><Code>AccessDenied</Code><Message>secret words</Message></Error>'),
})

describe('describeError', () => {
  const known = new S3Error('NoSuchKey', 'No such key.', { fields: { Key: 'k' } })

  test('gives an S3 error back as it is', () => {
    expect(describeError(known)).toEqual({ s3: known, severity: 'caller' })
  })

  test.each([
    { error: new IntegrityError('exact words'), code: 'InternalError', severity: 'alarm' },
    { error: new AuthenticationError('exact words'), code: 'InternalError', severity: 'alarm' },
    { error: new TruncationError('exact words'), code: 'InternalError', severity: 'alarm' },
    { error: new FormatError('exact words'), code: 'InternalError', severity: 'alarm' },
    { error: keyError('REJECTED'), code: 'InternalError', severity: 'alarm' },
    { error: new TypeError('exact words'), code: 'InternalError', severity: 'alarm' },
    { error: 'exact words', code: 'InternalError', severity: 'alarm' },
    { error: undefined, code: 'InternalError', severity: 'alarm' },
    { error: failure, code: 'InternalError', severity: 'outside' },
    { error: keyError('CONNECT'), code: 'ServiceUnavailable', severity: 'outside' },
    { error: keyError('THROTTLED'), code: 'ServiceUnavailable', severity: 'outside' },
    { error: keyError('AUTH'), code: 'ServiceUnavailable', severity: 'outside' },
    { error: keyError('DENIED'), code: 'AccessDenied', severity: 'outside' },
    { error: keyError('NOT_FOUND'), code: 'KMS.NotFoundException', severity: 'outside' },
    { error: keyError('DISABLED'), code: 'KMS.DisabledException', severity: 'outside' },
    { error: keyError('VERSION_GONE'), code: 'KMS.KMSInvalidStateException', severity: 'outside' },
    {
      error: new StateUnavailableError('exact words'),
      code: 'ServiceUnavailable',
      severity: 'outside',
    },
    ...(['CONNECT', 'TIMEOUT', 'RESET', 'PROTOCOL', 'REFUSED', 'ABORTED'] as const).map((code) => ({
      error: new BackendError(code, 'exact words'),
      code: 'ServiceUnavailable',
      severity: 'outside',
    })),
  ])('turns $error into $code ($severity)', ({ error, code, severity }) => {
    const described = describeError(error)
    expect(described.severity).toBe(severity)
    expect(described.s3.code).toBe(code)
    expect(described.s3.message).not.toMatch(/exact words|secret words/)
    expect(described.s3.cause).toBe(error)
    const retryAfter = code === 'ServiceUnavailable' ? { 'retry-after': '5' } : {}
    expect(described.s3.headers).toEqual(retryAfter)
  })

  test('tells integrity faults from the key service and from the object apart only in the log', () => {
    expect(describeError(keyError('REJECTED')).s3.message).toBe(
      describeError(new IntegrityError('tag')).s3.message,
    )
  })
})
