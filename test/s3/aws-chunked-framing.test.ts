import { describe, expect, test } from 'vitest'
import { decode, frame, verdict } from './chunked-bodies.ts'

describe('a framing with', () => {
  const unsigned = { signed: false, trailer: true, decodedLength: 4 }
  const text = '4\r\nabcd\r\n0\r\na:b\r\n\r\n'

  test('leading zeros and capitals in its sizes is decoded', () => {
    const body = Buffer.from('0000000000000004\r\nabcd\r\nA\r\n0123456789\r\n000\r\n\r\n')
    expect(verdict([body], { ...unsigned, decodedLength: 14 })).toBe('accepted')
  })

  test.each<[string, string, string]>([
    ['no size', '\r\nabcd\r\n0\r\na:b\r\n\r\n', 'InvalidRequest'],
    ['a size with a sign', text.replace('4', '+4'), 'InvalidRequest'],
    ['a negative size', text.replace('4', '-4'), 'InvalidRequest'],
    ['a size with a prefix', text.replace('4', '0x4'), 'InvalidRequest'],
    ['a size with a space', text.replace('4', ' 4'), 'InvalidRequest'],
    ['a size that is not hex', text.replace('4', 'g'), 'InvalidRequest'],
    ['a size of 17 digits', text.replace('4', '4'.padStart(17, '0')), 'InvalidRequest'],
    ['a size beyond all numbers', text.replace('4', 'f'.repeat(16)), 'IncompleteBody'],
    ['a size beyond the length', text.replace('4', '5'), 'IncompleteBody'],
    ['a size below the data', text.replace('4', '3'), 'InvalidRequest'],
    ['an extension', text.replace('4', '4;a=b'), 'InvalidRequest'],
    [
      'a signature where none belongs',
      text.replace('4', `4;chunk-signature=${'a'.repeat(64)}`),
      'InvalidRequest',
    ],
    ['LF behind a size', text.replace('4\r\n', '4\n'), 'InvalidRequest'],
    ['LF behind the data', text.replace('abcd\r\n', 'abcd\n'), 'InvalidRequest'],
    ['LF behind the last size', text.replace('0\r\n', '0\n'), 'InvalidRequest'],
    ['CR CR LF behind a size', text.replace('4\r\n', '4\r\r\n'), 'InvalidRequest'],
    ['nothing behind the data', text.replace('abcd\r\n', 'abcd'), 'InvalidRequest'],
    ['an empty line before the trailers', text.replace('0\r\n', '0\r\n\r\n'), 'InvalidRequest'],
    ['LF as the last line', text.replace(/\r\n$/, '\n'), 'InvalidRequest'],
    ['a trailer without a colon', text.replace('a:b', 'ab'), 'InvalidRequest'],
    ['a trailer without a name', text.replace('a:b', ':b'), 'InvalidRequest'],
    ['a trailer with a space in its name', text.replace('a:b', 'a :b'), 'InvalidRequest'],
    ['a trailer with a space in its value', text.replace('a:b', 'a:b b'), 'InvalidRequest'],
    ['a trailer with a control character', text.replace('a:b', 'a:\0'), 'InvalidRequest'],
    ['a trailer in two lines', text.replace('a:b', 'a:b\r\n c'), 'InvalidRequest'],
    ['a trailer twice', text.replace('a:b', 'a:b\r\nA:c'), 'InvalidRequest'],
    ['a second body', text.replace('\r\na:b\r\n', `\r\n\r\n${text}`), 'InvalidRequest'],
  ])('%s is refused', (_, wrong, code) => {
    expect(wrong).not.toBe(text)
    expect(verdict([Buffer.from(wrong, 'latin1')], unsigned)).toBe(code)
  })

  test.each<[string, string]>([
    ['a long line of sizes', '0'.repeat(2000)],
    ['a long line of sizes that never ends, in pieces', '0'.repeat(1025)],
    ['a long trailer', `4\r\nabcd\r\n0\r\na:${'b'.repeat(17_000)}\r\n\r\n`],
    [
      'long trailers',
      `4\r\nabcd\r\n0\r\n${Array.from({ length: 90 }, (_, i) => `${'a'.repeat(50)}${i}:${'b'.repeat(200)}\r\n`).join('')}\r\n`,
    ],
    [
      'many trailers',
      `4\r\nabcd\r\n0\r\n${Array.from({ length: 101 }, (_, i) => `a${i}:b\r\n`).join('')}\r\n`,
    ],
    ['a long name of a trailer', `4\r\nabcd\r\n0\r\n${'a'.repeat(101)}:b\r\n\r\n`],
  ])('%s is refused', (_, body) => {
    const pieces = body.match(/[^]{1,700}/g) ?? []
    expect(
      verdict(
        pieces.map((piece) => Buffer.from(piece)),
        unsigned,
      ),
    ).toBe('InvalidRequest')
  })

  test('up to 100 trailers is decoded', () => {
    const lines = Array.from({ length: 100 }, (_, i) => `a${i}:b`)
    const body = frame([Buffer.from('abcd')], { signed: false, trailers: lines })
    expect(decode([body], unsigned).trailers.size).toBe(100)
  })
})
