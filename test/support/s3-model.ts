import * as sdk from '@aws-sdk/client-s3'

/** A request of the S3 model, as far as routing sees it. */
export interface ModelRequest {
  readonly method: string
  readonly rawTarget: string
  readonly headers: ReadonlyMap<string, string>
}

/** An operation of the S3 model as the AWS SDK carries it. */
export interface ModelOperation {
  readonly name: string
  /** With only what must be there. */
  readonly minimal: ModelRequest
  /** The minimal request with one optional query parameter or header more, each in turn. */
  readonly variants: readonly ModelRequest[]
}

interface Member {
  readonly query?: string
  readonly header?: string
  readonly isRequired: boolean
}

/** Every operation of the S3 model, from the schemas of `@aws-sdk/client-s3`. */
export const modelOperations: readonly ModelOperation[] = Object.values(sdk)
  .filter(isOperationSchema)
  .map(readOperation)

type OperationSchema = Extract<(typeof sdk)[keyof typeof sdk], readonly [9, ...unknown[]]>

function isOperationSchema(value: unknown): value is OperationSchema {
  return Array.isArray(value) && value[0] === 9
}

function readOperation(schema: OperationSchema): ModelOperation {
  const [, , name, traits, input] = schema
  const http = typeof traits === 'object' ? traits.http : undefined
  if (!http) throw new Error(`${name} has no HTTP binding`)
  const [method, path] = http
  const { members, hasBucket } = readInput(name, input)
  const required = members.filter(({ isRequired }) => isRequired)
  const request = (more: readonly Member[]): ModelRequest =>
    buildRequest({ method, path, members: [...required, ...more], hasBucket })
  return {
    name,
    minimal: request([]),
    variants: members.filter(({ isRequired }) => !isRequired).map((member) => request([member])),
  }
}

function readInput(name: string, input: unknown): { members: Member[]; hasBucket: boolean } {
  const schema: unknown = typeof input === 'function' ? input() : input
  if (!Array.isArray(schema) || schema[0] !== 3) throw new Error(`${name} has no input structure`)
  const names: string[] = schema[4]
  const shapes: unknown[] = schema[5]
  const requiredCount: number = schema[6] ?? 0
  const members = names.flatMap((_, index): Member[] => {
    const shape = shapes[index]
    const traits: Record<string, string> =
      Array.isArray(shape) && typeof shape[1] === 'object' ? shape[1] : {}
    const isRequired = index < requiredCount
    if (traits['httpQuery']) return [{ query: traits['httpQuery'], isRequired }]
    if (traits['httpHeader']) return [{ header: traits['httpHeader'].toLowerCase(), isRequired }]
    const prefix = traits['httpPrefixHeaders']
    return prefix ? [{ header: `${prefix.toLowerCase()}a`, isRequired }] : []
  })
  return { members, hasBucket: names.includes('Bucket') }
}

function buildRequest(parts: {
  method: string
  path: string
  members: readonly Member[]
  hasBucket: boolean
}): ModelRequest {
  const [path = '', literal = ''] = parts.path.replace('{Key+}', 'folder/key').split('?')
  const query = [literal, ...parts.members.flatMap(({ query }) => (query ? [`${query}=1`] : []))]
  const headers = new Map(
    parts.members.flatMap(({ header }) => (header ? [[header, 'bucket/source'] as const] : [])),
  )
  const rawQuery = query.filter((part) => part !== '').join('&')
  return {
    method: parts.method,
    rawTarget: `${parts.hasBucket ? '/bucket' : ''}${path}${rawQuery === '' ? '' : `?${rawQuery}`}`,
    headers,
  }
}
