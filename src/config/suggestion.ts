import { configSchema } from './schema.ts'

/** ` (did you mean "x"?)` for a key that resembles one that may stand there; else ''. */
export function suggestion(key: string, path: readonly PropertyKey[]): string {
  const known = knownKeys(path)
  const [best] = known
    .map((name) => ({ name, distance: name.startsWith(key) ? 0 : editDistance(key, name) }))
    .filter(({ distance, name }) => distance <= Math.max(2, Math.floor(name.length / 3)))
    .toSorted((a, b) => a.distance - b.distance)
  if (best) return ` (did you mean "${best.name}"?)`
  return known.length > 0 ? ` (known: ${known.join(', ')})` : ''
}

/** The keys that the schema knows at this place; a number in the path is an item of a list. */
function knownKeys(path: readonly PropertyKey[]): string[] {
  let schema: unknown = configSchema
  for (const step of path) {
    schema = typeof step === 'number' ? itemSchema(schema) : shapeOf(schema)?.[String(step)]
  }
  return Object.keys(shapeOf(schema) ?? {})
}

interface SchemaParts {
  readonly shape?: Record<string, unknown>
  readonly element?: unknown
  readonly innerType?: unknown
}

/** What is inside of defaults and optionals. */
function unwrapped(schema: unknown): SchemaParts {
  const definition = (schema as { def?: SchemaParts } | undefined)?.def ?? {}
  return definition.innerType === undefined ? definition : unwrapped(definition.innerType)
}

function shapeOf(schema: unknown): Record<string, unknown> | undefined {
  return unwrapped(schema).shape
}

function itemSchema(schema: unknown): unknown {
  return unwrapped(schema).element
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (const [i, charA] of a.split('').entries()) {
    const row = [i + 1]
    for (const [j, charB] of b.split('').entries()) {
      const replaced = (previous[j] ?? 0) + (charA === charB ? 0 : 1)
      row.push(Math.min((row[j] ?? 0) + 1, (previous[j + 1] ?? 0) + 1, replaced))
    }
    previous = row
  }
  return previous.at(-1) ?? 0
}
