import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ConfigError } from '../../src/config/config-error.ts'
import { parseConfig } from '../../src/config/load.ts'
import { minimal } from './settings.ts'

const numRuns = process.env['SLOW'] ? 5_000 : 200
const env = { A: 'text', B: '' }
const example = readFileSync(new URL('../../config.example.yaml', import.meta.url), 'utf8')

/** Whether the text is a configuration; throws if neither it is nor refused with what is wrong. */
function isAccepted(text: string): boolean {
  try {
    parseConfig(text, { env, baseDir: '/base' })
    return true
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const { problems } = error
    if (problems.length > 0 && problems.every(({ message }) => message !== '')) return false
    throw new Error('it is refused without a reason', { cause: error })
  }
}

/** What YAML gives meaning to. */
const fragments = [
  'a|server|:|: |- |? |{|}|[|]|, |"|\'|#|\0|\ud800|\t|&a |*a|!!binary |!!set |!x |<<: ',
  '${A}|${B}|${|$${|${A:-|0x1f|1e999|.nan|~|2001-01-01|%YAML 1.2',
].flatMap((some) => some.split('|'))
const fragment = fc.constantFrom(...fragments, '\n', '\n  ', '|\n', '>\n', '---\n')

describe('whatever the text is, it is a configuration or a ConfigError', () => {
  test('made of pieces of YAML', () => {
    fc.assert(
      fc.property(fc.array(fragment, { maxLength: 40 }), (pieces) => {
        expect(isAccepted(pieces.join(''))).toBe(false)
      }),
      { numRuns },
    )
  })

  test('made of any characters', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        expect(isAccepted(text)).toBe(false)
      }),
      { numRuns },
    )
  })

  test('made by changing the example', () => {
    const place = fc.nat({ max: example.length })
    fc.assert(
      fc.property(place, fc.nat({ max: 40 }), fragment, (start, removed, inserted) => {
        const text = example.slice(0, start) + inserted + example.slice(start + removed)
        expect(() => isAccepted(text)).not.toThrow()
      }),
      { numRuns },
    )
  })

  test('made by putting any value in the place of any other', () => {
    const places = placesIn(minimal())
    expect(places.length).toBeGreaterThan(10)
    fc.assert(
      fc.property(fc.constantFrom(...places), fc.jsonValue(), (path, value) => {
        const text = JSON.stringify(replaced(minimal(), path, value))
        expect(() => isAccepted(text)).not.toThrow()
      }),
      { numRuns },
    )
  })

  test.each(['[', '{a: ', '- ', '? ', '!!seq [', '&a ['])('nested without end: %s', (opening) => {
    for (const depth of [100, 10_000]) expect(isAccepted(opening.repeat(depth))).toBe(false)
  })
})

type Path = readonly string[]

function placesIn(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path]
  const below = Object.entries(value).flatMap(([key, item]) => placesIn(item, [...path, key]))
  return [path, ...below]
}

function replaced(value: unknown, [key, ...rest]: Path, by: unknown): unknown {
  if (key === undefined) return by
  const change = (name: string, item: unknown) => (name === key ? replaced(item, rest, by) : item)
  if (Array.isArray(value)) return value.map((item, index) => change(String(index), item))
  const entries = Object.entries(value as object)
  return Object.fromEntries(entries.map(([name, item]) => [name, change(name, item)]))
}
