import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { describe, expect, test } from 'vitest'

const src = new URL('../src', import.meta.url).pathname

/** What each folder of src may import, besides itself. */
const allowed: Record<string, readonly string[]> = {
  stream: [],
  sigv4: [],
  checksum: [],
  config: [],
  observe: [],
  http: ['stream'],
  demo: [],
  s3: ['stream', 'sigv4', 'checksum'],
  kms: ['stream', 'observe'],
  envelope: ['kms', 's3', 'stream', 'observe'],
  backend: ['http', 's3', 'stream', 'sigv4', 'observe'],
  auth: ['s3', 'sigv4', 'checksum', 'stream', 'observe'],
  state: ['observe'],
  ops: ['auth', 'envelope', 'backend', 'state', 'kms', 's3', 'stream', 'checksum', 'observe'],
  'data-plane': [
    'ops',
    'auth',
    'envelope',
    'backend',
    'state',
    'kms',
    'http',
    's3',
    'stream',
    'observe',
  ],
  admin: ['ops', 'auth', 'envelope', 'backend', 'state', 'kms', 'observe'],
  cli: ['server', 'config', 'kms', 'observe', 'demo'],
}

/** Packages that only one folder may know. */
const owners: Record<string, string> = {
  hono: 'admin',
  '@hono/node-server': 'admin',
  pg: 'state',
  '@electric-sql/pglite': 'state',
  pino: 'observe',
  yaml: 'config',
  commander: 'cli',
  saxes: 's3',
}

interface Import {
  readonly file: string
  readonly folder: string
  readonly specifier: string
}

function imports(): Import[] {
  return readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => {
      const text = readFileSync(join(src, file), 'utf8')
      const folder = file.includes('/') ? (file.split('/')[0] ?? '') : ''
      const found = text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)
      return [...found].map((match) => ({ file, folder, specifier: match[1] ?? '' }))
    })
}

describe('layers', () => {
  test('dependencies point one way', () => {
    const wrong = imports()
      .filter(({ folder, specifier }) => folder !== '' && specifier.startsWith('.'))
      .map(({ file, folder, specifier }) => {
        const target = relative(src, join(src, file, '..', specifier))
        return { file, folder, target: target.includes('/') ? target.split('/')[0] : target }
      })
      .filter(({ folder, target }) => target !== folder)
      .filter(
        ({ folder, target }) => !allowed[folder]?.includes(target?.replace(/\.ts$/, '') ?? ''),
      )
    expect(wrong).toEqual([])
  })

  test('no file imports itself in a circle', () => {
    const edges = new Map<string, string[]>()
    for (const { file, specifier } of imports()) {
      if (!specifier.startsWith('.')) continue
      const target = relative(src, join(src, file, '..', specifier))
      edges.set(file, [...(edges.get(file) ?? []), target])
    }
    const reaches = (from: string, goal: string, seen: Set<string>): boolean =>
      (edges.get(from) ?? []).some((next) => {
        if (next === goal) return true
        if (seen.has(next)) return false
        seen.add(next)
        return reaches(next, goal, seen)
      })
    expect([...edges.keys()].filter((file) => reaches(file, file, new Set()))).toEqual([])
  })

  test('each outside package is known to its one folder only', () => {
    const wrong = imports().filter(({ folder, specifier }) => {
      const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
      return owners[name] !== undefined && owners[name] !== folder
    })
    expect(wrong).toEqual([])
  })
})
