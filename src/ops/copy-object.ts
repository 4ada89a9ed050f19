import type { BackendResponse } from '../backend/client.ts'
import { readBody } from '../backend/read-body.ts'
import { S3Error } from '../s3/errors.ts'
import { toBackendConditional, toClientEtag } from '../s3/etag.ts'
import type { HeaderMap, HeaderRecord } from '../s3/headers.ts'
import { contentHeaders, forwardedHeaders, objectWriteHeaders } from '../s3/request-headers.ts'
import { clientResponseHeaders } from '../s3/response-headers.ts'
import { encodeKey, encodeQueryValue, parseCopySource, type CopySource } from '../s3/target.ts'
import { childText, element, serializeXml } from '../s3/xml.ts'
import { openEndRecord } from '../stream/end-record.ts'
import { IntegrityError } from '../stream/errors.ts'
import { endRecordSize } from '../stream/sizes.ts'
import { backendRequest, buildQuery, discardBody, expectSuccess, readXml } from './backend-call.ts'
import { copyByParts } from './copy-by-parts.ts'
import type { CopyDone, CopyPlan } from './copy-plan.ts'
import { needsRecord, partSizes, tolerateOutage } from './layout-record.ts'
import { multipartLayout } from './multipart-layout.ts'
import { objectPlace } from './object-place.ts'
import type { OperationContext, OperationHandler } from './operation.ts'
import type { Services } from './services.ts'
import { sendSlowly } from './slow-answer.ts'
import { encryptionHeaders, storedObject, type StoredObject } from './stored-object.ts'
import { envelopeHeaders, readRequestBody } from './upload.ts'

const maxAttempts = 3

/**
 * CopyObject: the backend copies the ciphertext, the same DEK is sealed anew for the copy's place.
 * No body bytes pass through the proxy.
 */
export function copyObject(services: Services): OperationHandler {
  return async (context) => {
    await readRequestBody(context, 0)
    const from = parseCopySource(context.headers.get('x-amz-copy-source') ?? '')
    const directive = metadataDirective(context.headers)
    const isSelfCopy =
      from.bucket === context.target.bucket && from.key === context.target.key && !from.versionId
    if (isSelfCopy && directive === 'COPY') {
      throw new S3Error(
        'InvalidRequest',
        "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
      )
    }
    await sendSlowly(context, () => copyUntilConsistent(context, services, { from, directive }))
  }
}

function metadataDirective(headers: HeaderMap): 'COPY' | 'REPLACE' {
  const directive = headers.get('x-amz-metadata-directive') ?? 'COPY'
  if (directive === 'COPY' || directive === 'REPLACE') return directive
  throw new S3Error('InvalidArgument', 'Unknown metadata directive.', {
    fields: { ArgumentName: 'x-amz-metadata-directive', ArgumentValue: directive },
  })
}

async function copyUntilConsistent(
  context: OperationContext,
  services: Services,
  copy: { from: CopySource; directive: 'COPY' | 'REPLACE' },
): Promise<{ headers: HeaderRecord; body: string }> {
  for (let attempt = 1; ; attempt += 1) {
    const plan = await planCopy(context, services, copy)
    const recordId = await recordCopiedLayout(context, services, plan)
    const done =
      plan.source.storedSize > services.maxCopySize
        ? await copyByParts(context, services, plan)
        : await copyAtOnce(context, services, plan)
    if (await isConsistent(context, services, { plan, done })) {
      await finishRecord(context, services, { recordId, done })
      plan.dek.destroy()
      return answer(plan, done)
    }
    if (attempt === maxAttempts) {
      throw new S3Error('SlowDown', 'The source object is being replaced too often.')
    }
  }
}

/**
 * Some backends ignore x-amz-copy-source-if-match: then the source may have been replaced between
 * HEAD and copy, and the copy's body not be the one that its envelope is for. Its end record tells.
 */
async function isConsistent(
  context: OperationContext,
  services: Services,
  { plan, done }: { plan: CopyPlan; done: CopyDone },
): Promise<boolean> {
  const isEmpty = plan.source.storedSize === 0
  const response = await services.backend.send(
    backendRequest(context, {
      method: isEmpty ? 'HEAD' : 'GET',
      query: buildQuery({ versionId: done.headers.get('x-amz-version-id') }),
      headers: isEmpty ? {} : { range: `bytes=-${endRecordSize}` },
    }),
  )
  if (response.status === 416) return discardBody(response).then(() => false)
  const end = await readBody(await expectSuccess(response), endRecordSize)
  const copy = storedObject(objectPlace(context), response)
  // A client's newer write is in the place of the copy: there is nothing left to check.
  if (!copy.envelope.sealedDek.equals(plan.envelope.sealedDek)) return true
  if (isEmpty || copy.storedSize !== plan.source.storedSize) return copy.storedSize === 0 && isEmpty
  try {
    openEndRecord(plan.dek, end)
    return true
  } catch (error) {
    if (error instanceof IntegrityError) return false
    throw error
  }
}

/** Records the part sizes under the copy's name if they can't be computed from the stored size. */
async function recordCopiedLayout(
  context: OperationContext,
  services: Services,
  { source, dek }: CopyPlan,
): Promise<string | null> {
  if (source.envelope.layout !== 'multipart') return null
  const { layout } = await multipartLayout(context, services, { ...source, dek })
  const sizes = partSizes(layout)
  if (!needsRecord(sizes) && layout.tail.endRecords === 1) return null
  const backendUploadId = `copy:${context.requestId}`
  await services.store.putLayout({
    ...objectPlace(context),
    backendUploadId,
    etag: null,
    storedSize: source.storedSize,
    partSizes: sizes,
  })
  return backendUploadId
}

async function finishRecord(
  context: OperationContext,
  services: Services,
  { recordId, done }: { recordId: string | null; done: CopyDone },
): Promise<void> {
  if (recordId === null) return
  const { bucket, key } = objectPlace(context)
  const etag = childText(done.result, 'ETag').replaceAll('"', '')
  if (etag === '') return
  await tolerateOutage(context, () => services.store.setLayoutEtag(bucket, key, recordId, etag))
}

async function planCopy(
  context: OperationContext,
  services: Services,
  { from, directive }: { from: CopySource; directive: 'COPY' | 'REPLACE' },
): Promise<CopyPlan> {
  const conditional = copySourceConditions(context.headers)
  const source = await headSource(context, services, { from, conditional })
  const dek = await services.keys.open(source.place, source.envelope)
  const envelope = await services.keys.reseal(dek, objectPlace(context), source.envelope.layout)
  const kept =
    directive === 'COPY'
      ? { ...forwardedHeaders(context.headers), ...contentHeaders(source.headers) }
      : objectWriteHeaders(context.headers)
  const versionId = from.versionId === null ? '' : `?versionId=${encodeQueryValue(from.versionId)}`
  return {
    source,
    dek,
    envelope,
    headers: { ...kept, ...envelopeHeaders(envelope, kept) },
    copySource: `/${from.bucket}/${encodeKey(from.key)}${versionId}`,
  }
}

/** HEAD of a copy's source; conditions that don't hold are PreconditionFailed, as S3 has it. */
export async function headSource(
  context: OperationContext,
  services: Services,
  { from, conditional }: { from: CopySource; conditional: HeaderRecord },
): Promise<StoredObject> {
  const response = await services.backend.send(
    backendRequest(context, {
      method: 'HEAD',
      bucket: from.bucket,
      key: from.key,
      query: buildQuery({ versionId: from.versionId ?? undefined }),
      headers: conditional,
    }),
  )
  if (response.status === 304 || response.status === 412) {
    await discardBody(response)
    throw new S3Error(
      'PreconditionFailed',
      'At least one of the pre-conditions you specified did not hold',
      {
        fields: { Condition: 'x-amz-copy-source-If-*' },
      },
    )
  }
  if (response.status === 404) {
    await discardBody(response)
    throw new S3Error('NoSuchKey', 'The specified key does not exist.', {
      fields: { Key: from.key },
    })
  }
  await discardBody(await expectSuccess(response))
  return storedObject({ bucket: from.bucket, key: from.key }, response)
}

/** The x-amz-copy-source-if-* headers as conditions of a HEAD on the source. */
export function copySourceConditions(headers: HeaderMap): HeaderRecord {
  const conditions: HeaderRecord = {}
  for (const name of ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since']) {
    const value = headers.get(`x-amz-copy-source-${name}`)
    if (value === undefined) continue
    conditions[name] = name.endsWith('match') ? toBackendConditional(value) : value
  }
  return conditions
}

async function copyAtOnce(
  context: OperationContext,
  services: Services,
  plan: CopyPlan,
): Promise<CopyDone> {
  const response: BackendResponse = await services.backend.send(
    backendRequest(context, {
      method: 'PUT',
      headers: {
        ...plan.headers,
        'x-amz-copy-source': plan.copySource,
        'x-amz-copy-source-if-match': `"${plan.source.etag}"`,
        'x-amz-metadata-directive': 'REPLACE',
        ...taggingDirective(context.headers),
      },
    }),
  )
  return { headers: response.headers, result: await readXml(response) }
}

function taggingDirective(headers: HeaderMap): HeaderRecord {
  const directive = headers.get('x-amz-tagging-directive')
  return directive === undefined ? {} : { 'x-amz-tagging-directive': directive }
}

function answer(plan: CopyPlan, done: CopyDone): { headers: HeaderRecord; body: string } {
  const result = element('CopyObjectResult', [
    element('LastModified', childText(done.result, 'LastModified')),
    element('ETag', toClientEtag(`"${childText(done.result, 'ETag').replaceAll('"', '')}"`)),
  ])
  return {
    headers: {
      ...clientResponseHeaders(done.headers),
      ...encryptionHeaders(plan.envelope),
      'content-type': 'application/xml',
    },
    body: serializeXml({
      ...result,
      attributes: { xmlns: 'http://s3.amazonaws.com/doc/2006-03-01/' },
    }),
  }
}
