import type { OperationName } from '../s3/operations.ts'
import { abortMultipartUpload } from './abort-multipart-upload.ts'
import { completeMultipartUpload } from './complete-multipart-upload.ts'
import { copyObject } from './copy-object.ts'
import { createMultipartUpload } from './create-multipart-upload.ts'
import { deleteObjects } from './delete-objects.ts'
import { createBucket, deleteBucket, forward } from './forward.ts'
import { getObject, headObject } from './get-object.ts'
import { listMultipartUploads } from './list-multipart-uploads.ts'
import { listObjects } from './list-objects.ts'
import { listParts } from './list-parts.ts'
import type { OperationHandler } from './operation.ts'
import { putObject } from './put-object.ts'
import type { Services } from './services.ts'
import { uploadPartCopy } from './upload-part-copy.ts'
import { uploadPart } from './upload-part.ts'

/** The handler of each operation that isn't refused. */
export function operationHandlers(
  services: Services,
): ReadonlyMap<OperationName, OperationHandler> {
  const forwarded = forward(services)
  return new Map<OperationName, OperationHandler>([
    ['AbortMultipartUpload', abortMultipartUpload(services)],
    ['CompleteMultipartUpload', completeMultipartUpload(services)],
    ['CopyObject', copyObject(services)],
    ['CreateBucket', createBucket(services)],
    ['CreateMultipartUpload', createMultipartUpload(services)],
    ['DeleteBucket', deleteBucket(services)],
    ['DeleteObject', forwarded],
    ['DeleteObjectTagging', forwarded],
    ['DeleteObjects', deleteObjects(services)],
    ['GetBucketLocation', forwarded],
    ['GetBucketVersioning', forwarded],
    ['GetObject', getObject(services)],
    ['GetObjectAcl', forwarded],
    ['GetObjectTagging', forwarded],
    ['HeadBucket', forwarded],
    ['HeadObject', headObject(services)],
    ['ListBuckets', forwarded],
    ['ListMultipartUploads', listMultipartUploads(services)],
    ['ListObjectVersions', listObjects(services)],
    ['ListObjects', listObjects(services)],
    ['ListObjectsV2', listObjects(services)],
    ['ListParts', listParts(services)],
    ['PutBucketVersioning', forwarded],
    ['PutObject', putObject(services)],
    ['PutObjectAcl', forwarded],
    ['PutObjectTagging', forwarded],
    ['UploadPart', uploadPart(services)],
    ['UploadPartCopy', uploadPartCopy(services)],
  ])
}
