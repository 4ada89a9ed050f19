import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { byteSize, listenAddress, parseDuration } from '../../src/config/text-values.ts'

describe('durations', () => {
  test.each([
    ['0', 0],
    ['0s', 0],
    ['1ns', 0.000001],
    ['1us', 0.001],
    ['1µs', 0.001],
    ['300ms', 300],
    ['30s', 30_000],
    ['1.5s', 1_500],
    ['5m', 300_000],
    ['1h30m', 5_400_000],
    ['1h0m0.5s', 3_600_500],
    ['8760h', 31_536_000_000],
    ['7d', 604_800_000],
    ['1d12h', 129_600_000],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBeCloseTo(ms, 9)
  })

  test.each([
    '',
    '1',
    '30',
    '1.5',
    's',
    '5 m',
    ' 5m',
    '5m ',
    '-5m',
    '+5m',
    '5M',
    '5min',
    '1h30',
    '1e3s',
    '1,5s',
    '.s',
    '1.s',
    '5mm',
    '1w',
    'infinity',
    '1h-30m',
    '٣s',
    '0x5s',
    '5m\n',
  ])('%j is none', (text) => {
    expect(parseDuration(text)).toBeNull()
  })

  test('add up their parts', () => {
    const part = fc.nat({ max: 9_999 })
    fc.assert(
      fc.property(part, part, part, (h, m, s) => {
        expect(parseDuration(`${h}h${m}m${s}s`)).toBe(((h * 60 + m) * 60 + s) * 1000)
      }),
    )
  })
})

describe('sizes', () => {
  test.each([
    [65_536, 65_536],
    ['1', 1],
    ['64KiB', 65_536],
    ['64 KiB', 65_536],
    ['5MiB', 5_242_880],
    ['1GiB', 1_073_741_824],
  ])('%j is %d bytes', (value, bytes) => {
    expect(byteSize().parse(value)).toBe(bytes)
  })

  test.each([
    '',
    '0',
    0,
    -1,
    1.5,
    '64KB',
    '64k',
    '64kib',
    '1.5MiB',
    '-1KiB',
    '1TiB',
    'KiB',
    true,
    {},
  ])('%j is none', (value) => {
    expect(byteSize().safeParse(value).success).toBe(false)
  })
})

describe('listen addresses', () => {
  test.each([
    ['127.0.0.1:9000', '127.0.0.1', 9000],
    ['localhost:0', 'localhost', 0],
    ['[::1]:9000', '::1', 9000],
    ['[::]:65535', '::', 65_535],
    [':9000', '0.0.0.0', 9000],
  ])('%s', (text, host, port) => {
    expect(listenAddress().parse(text)).toEqual({ host, port })
  })

  test.each([
    '',
    '9000',
    'host',
    'host:',
    'host:-1',
    'host:65536',
    'host:80x',
    '::1:9000',
    '[::1]',
    '[]:80',
    'http://host:80',
    'a b:80',
    '[host]:80',
    'host:80:90',
    'host:080808',
  ])('%j is none', (text) => {
    expect(listenAddress().safeParse(text).success).toBe(false)
  })
})
