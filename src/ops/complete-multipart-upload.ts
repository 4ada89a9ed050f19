import type { BackendResponse } from '../backend/client.ts'
import { readEnvelope } from '../envelope/envelope.ts'
import {
  maxCompleteRequestSize,
  parseCompleteRequest,
  type CompletedPart,
} from '../s3/complete-request.ts'
import { S3Error } from '../s3/errors.ts'
import { toClientEtag } from '../s3/etag.ts'
import type { HeaderMap, HeaderRecord } from '../s3/headers.ts'
import { conditionalHeaders } from '../s3/request-headers.ts'
import { clientResponseHeaders } from '../s3/response-headers.ts'
import { childText, element, s3Document, serializeXml } from '../s3/xml.ts'
import { sealEndRecord } from '../stream/end-record.ts'
import { maxPartNumber } from '../stream/sizes.ts'
import {
  backendRequest,
  BackendFailure,
  buildQuery,
  discardBody,
  expectSuccess,
  readXml,
} from './backend-call.ts'
import { listBackendParts, type BackendPart } from './backend-parts.ts'
import { matchParts, planCompletion, type Completion } from './completion-plan.ts'
import { needsRecord, tolerateOutage } from './layout-record.ts'
import { objectPlace } from './object-place.ts'
import type { OperationContext, OperationHandler } from './operation.ts'
import type { Services } from './services.ts'
import { sendSlowly } from './slow-answer.ts'
import { encryptionHeaders } from './stored-object.ts'
import { noSuchUpload, openUpload, type OpenUpload } from './upload-token.ts'
import { readRequestBody } from './upload.ts'

/** CompleteMultipartUpload by the rules of `docs/format.md` §4.4. */
export function completeMultipartUpload(services: Services): OperationHandler {
  return async (context) => {
    const headers = withoutObjectChecksums(context.headers)
    const body = await readRequestBody({ ...context, headers }, maxCompleteRequestSize)
    const named = parseCompleteRequest(body)
    const upload = await openUpload(context, services)
    await sendSlowly(context, async () => {
      const done = await complete(context, services, { upload, named })
      upload.dek.destroy()
      return answer(context, upload, done)
    })
  }
}

/** Here, unlike anywhere else, checksum headers describe the object and not the request's body. */
function withoutObjectChecksums(headers: HeaderMap): HeaderMap {
  return new Map([...headers].filter(([name]) => !/^x-amz-(sdk-)?checksum-/.test(name)))
}

/** A completed object: the backend's ETag without quotes, and the headers of its answer. */
interface Completed {
  readonly etag: string
  readonly headers: HeaderMap
}

async function complete(
  context: OperationContext,
  services: Services,
  { upload, named }: { upload: OpenUpload; named: readonly CompletedPart[] },
): Promise<Completed> {
  let listed
  try {
    listed = await listBackendParts(context, services, upload.backendUploadId)
  } catch (error) {
    if (!(error instanceof S3Error) || error.code !== 'NoSuchUpload') throw error
    return findCompleted(context, services, upload)
  }
  const plan = planCompletion(matchParts(named, listed.parts))
  const { bucket, key } = objectPlace(context)
  const { backendUploadId } = upload
  await checkPreconditions(context, services)
  const kind = await recordIrregular(context, services, { upload, plan })
  const done = await completeAtBackend(context, services, { upload, plan })
  await tolerateOutage(context, async () => {
    await services.store.deleteUpload(bucket, backendUploadId)
    if (kind === 'regular') return
    await services.store.setLayoutEtag(bucket, key, backendUploadId, done.etag)
  })
  return done
}

/** The answer to a Complete that is repeated after its first answer was lost. */
async function findCompleted(
  context: OperationContext,
  services: Services,
  upload: OpenUpload,
): Promise<Completed> {
  const response = await services.backend.send(backendRequest(context, { method: 'HEAD' }))
  await discardBody(response)
  const envelope = response.status === 200 ? readEnvelope(response.headers) : null
  if (!envelope?.sealedDek.equals(upload.envelope.sealedDek)) throw noSuchUpload()
  return { etag: (response.headers.get('etag') ?? '').replaceAll('"', ''), headers: new Map() }
}

/** Preconditions fail before anything is written; the backend decides them again, atomically. */
async function checkPreconditions(context: OperationContext, services: Services): Promise<void> {
  const conditions = conditionalHeaders(context.headers)
  if (Object.keys(conditions).length === 0) return
  const response = await services.backend.send(backendRequest(context, { method: 'HEAD' }))
  await discardBody(response)
  const exists = response.status === 200
  const etag = response.headers.get('etag') ?? ''
  const fails =
    (conditions['if-none-match'] === '*' && exists) ||
    (conditions['if-match'] !== undefined && exists && !conditions['if-match'].includes(etag))
  if (!fails) return
  const condition = conditions['if-match'] === undefined ? 'If-None-Match' : 'If-Match'
  throw new S3Error(
    'PreconditionFailed',
    'At least one of the pre-conditions you specified did not hold',
    { fields: { Condition: condition } },
  )
}

/** In the zone the last part's size can't be told yet: then the record only says that. */
async function recordIrregular(
  context: OperationContext,
  services: Services,
  { upload, plan }: { upload: OpenUpload; plan: Completion },
): Promise<'recorded' | 'regular' | 'unknown'> {
  const isUnknown = plan.endRecord?.lastPartSize.kind === 'zone'
  if (!isUnknown && !needsRecord(plan.partSizes)) return 'regular'
  await services.store.putLayout({
    ...objectPlace(context),
    backendUploadId: upload.backendUploadId,
    etag: null,
    storedSize: plan.storedSize,
    partSizes: isUnknown ? [] : plan.partSizes,
  })
  return isUnknown ? 'unknown' : 'recorded'
}

async function completeAtBackend(
  context: OperationContext,
  services: Services,
  { upload, plan }: { upload: OpenUpload; plan: Completion },
): Promise<Completed> {
  if (!plan.endRecord) return sendComplete(context, services, { upload, parts: plan.parts })
  const record = sealEndRecord(upload.dek, plan.endRecord)
  const appended = await uploadRecord(context, services, { upload, record, number: maxPartNumber })
  try {
    return await sendComplete(context, services, { upload, parts: [...plan.parts, appended] })
  } catch (error) {
    const isGapRefused =
      error instanceof BackendFailure && ['InvalidPartOrder', 'InvalidPart'].includes(error.code)
    if (!isGapRefused) throw error
    const number = plan.parts.length + 1
    const next = await uploadRecord(context, services, { upload, record, number })
    return sendComplete(context, services, { upload, parts: [...plan.parts, next] })
  }
}

async function uploadRecord(
  context: OperationContext,
  services: Services,
  part: { upload: OpenUpload; record: Buffer; number: number },
): Promise<BackendPart> {
  const { upload, record, number } = part
  const query = buildQuery({ partNumber: String(number), uploadId: upload.backendUploadId })
  const response = await expectSuccess(
    await services.backend.send(backendRequest(context, { method: 'PUT', query }), record),
  )
  await discardBody(response)
  const etag = (response.headers.get('etag') ?? '').replaceAll('"', '')
  return { number, etag, storedSize: record.length, lastModified: '' }
}

async function sendComplete(
  context: OperationContext,
  services: Services,
  { upload, parts }: { upload: OpenUpload; parts: readonly BackendPart[] },
): Promise<Completed> {
  const document = element(
    'CompleteMultipartUpload',
    parts.map((part) =>
      element('Part', [
        element('PartNumber', String(part.number)),
        element('ETag', `"${part.etag}"`),
      ]),
    ),
  )
  const query = buildQuery({ uploadId: upload.backendUploadId })
  const response: BackendResponse = await services.backend.send(
    backendRequest(context, {
      method: 'POST',
      query,
      headers: { ...conditionalHeaders(context.headers), 'content-type': 'application/xml' },
    }),
    Buffer.from(serializeXml(document)),
  )
  const result = await readXml(response)
  const etag = childText(result, 'ETag').replaceAll('"', '')
  return { etag: etag || (await currentEtag(context, services)), headers: response.headers }
}

/** Some backends (Ceph) leave the ETag out of their answer. */
async function currentEtag(context: OperationContext, services: Services): Promise<string> {
  const response = await expectSuccess(
    await services.backend.send(backendRequest(context, { method: 'HEAD' })),
  )
  await discardBody(response)
  return (response.headers.get('etag') ?? '').replaceAll('"', '')
}

function answer(
  context: OperationContext,
  { envelope }: OpenUpload,
  done: Completed,
): { headers: HeaderRecord; body: string } {
  const { bucket, key } = objectPlace(context)
  const { rawPath } = context.target
  return {
    headers: {
      ...clientResponseHeaders(done.headers),
      ...encryptionHeaders(envelope),
      'content-type': 'application/xml',
    },
    body: s3Document(
      element('CompleteMultipartUploadResult', [
        element('Location', `http://${context.headers.get('host') ?? ''}${rawPath}`),
        element('Bucket', bucket),
        element('Key', key),
        element('ETag', toClientEtag(`"${done.etag}"`)),
      ]),
    ),
  }
}
