import type { HeaderRecord } from '../s3/headers.ts'
import type { OperationContext } from './operation.ts'

/** After this long a slow operation's answer begins, so that clients don't time out. */
const firstByteMs = 10_000
const keepAliveMs = 5_000
const xmlDeclaration = '<?xml version="1.0" encoding="UTF-8"?>\n'
const space = Buffer.from(' ')

/**
 * Answers with the XML document that `work` makes. If it takes long, the status line 200 and white
 * space go out first, as S3 does for Complete and Copy: an error then comes as an error document
 * under status 200.
 */
export async function sendSlowly(
  context: OperationContext,
  work: () => Promise<{ headers: HeaderRecord; body: string }>,
): Promise<void> {
  const { response } = context
  let timer = setTimeout(start, firstByteMs)
  let sink: ReturnType<typeof response.start> | null = null

  function start(): void {
    sink = response.start(200, { 'content-type': 'application/xml' })
    sink.write([Buffer.from(xmlDeclaration)])
    timer = setInterval(() => sink?.write([space]), keepAliveMs)
  }

  let answer
  try {
    answer = await work()
  } catch (error) {
    if (!sink) throw error
    answer = { headers: {}, body: context.describeError(error) }
  } finally {
    clearTimeout(timer)
  }
  if (!sink) {
    response.send(200, answer.headers, answer.body)
    return
  }
  const { body } = answer
  const started: ReturnType<typeof response.start> = sink
  started.write([Buffer.from(body.startsWith('<?xml') ? body.slice(body.indexOf('?>') + 2) : body)])
  started.end()
}
