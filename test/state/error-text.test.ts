import { expect, test } from 'vitest'
import { errorText } from '../../src/state/error-text.ts'

test.each([
  [new Error('plain'), 'plain'],
  [new TypeError(''), 'TypeError'],
  [new Error('outer', { cause: new Error('inner') }), 'outer: inner'],
  [new Error('outer', { cause: 'no error' }), 'outer'],
  [
    new AggregateError([new Error('::1'), new Error('127.0.0.1')], ''),
    'AggregateError: ::1: 127.0.0.1',
  ],
  ['text', 'text'],
  [undefined, 'undefined'],
])('%s reads %j', (error, text) => {
  expect(errorText(error)).toBe(text)
})
