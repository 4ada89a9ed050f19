import { expect, test } from 'vitest'
import { isOutage } from '../../src/state/sql-state.ts'

test.each([
  '08006',
  '28P01',
  '28000',
  '40001',
  '53100',
  '53300',
  '57P01',
  '57P03',
  '58030',
  '25006',
])('%s is an outage', (code) => {
  expect(isOutage(code)).toBe(true)
})

test.each(['22021', '23505', '25001', '42P01', '42501', '42601', '54000', 'XX000', '', undefined])(
  '%s is an error of the statement',
  (code) => {
    expect(isOutage(code)).toBe(false)
  },
)
