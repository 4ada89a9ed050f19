import { randomUUID } from 'node:crypto'
import * as fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { StateUnavailableError, type LayoutRecord, type StateStore } from '../../src/state/ports.ts'

const slow = process.env['SLOW'] === '1'
const oddTexts = [
  '',
  ' ',
  ' a ',
  'NULL',
  'null',
  '"',
  "'",
  ',',
  '{a,b}',
  '\\',
  '\\x41',
  '\\000',
  '%',
  'ä',
  '💥',
]
const oddKeys = [
  ...oddTexts.filter((text) => text !== ''),
  '\0',
  'a\0b',
  '\uffff',
  '\n',
  'A',
  'a',
  'a/',
  'a//b',
  '../a',
  'é',
  'e\u0301',
  'k'.repeat(1024),
  '💥'.repeat(256),
]

/** What every StateStore must do. Each test uses a bucket of its own, so one store serves them all. */
export function describeStateStore(name: string, current: () => StateStore): void {
  describe(`${name}: ports`, () => {
    const store = () => current()
    let bucket = ''
    beforeEach(() => {
      bucket = `bucket-${randomUUID()}`
    })
    const upload = (backendUploadId: string, token = `token of ${backendUploadId}`) => ({
      bucket,
      key: 'key',
      backendUploadId,
      token,
    })
    const layout = (fields: Partial<LayoutRecord> = {}): LayoutRecord => ({
      bucket,
      key: 'key',
      backendUploadId: 'upload',
      etag: 'etag-2',
      storedSize: 12_000_000,
      partSizes: [5_242_880, 6_000_000, 17],
      ...fields,
    })

    describe('uploads', () => {
      test('finds the tokens of the known ones among the ids asked for', async () => {
        await store().putUpload(upload('a'))
        await store().putUpload(upload('b'))
        await store().putUpload(upload('c'))
        expect(await store().findUploads(bucket, ['a', 'c', 'unknown', 'a'])).toEqual(
          new Map([
            ['a', 'token of a'],
            ['c', 'token of c'],
          ]),
        )
      })

      test('finds none without ids, in another bucket, or before any was put', async () => {
        expect(await store().findUploads(bucket, ['a'])).toEqual(new Map())
        await store().putUpload(upload('a'))
        expect(await store().findUploads(bucket, [])).toEqual(new Map())
        expect(await store().findUploads(`${bucket}x`, ['a'])).toEqual(new Map())
      })

      test('replaces the token when the same upload is put again', async () => {
        await store().putUpload(upload('a', 'old'))
        await store().putUpload(upload('a', 'new'))
        expect(await store().findUploads(bucket, ['a'])).toEqual(new Map([['a', 'new']]))
      })

      test('deletes one upload and leaves the others', async () => {
        await store().putUpload(upload('a'))
        await store().putUpload(upload('b'))
        await store().deleteUpload(`${bucket}x`, 'b')
        await store().deleteUpload(bucket, 'a')
        await store().deleteUpload(bucket, 'a')
        expect([...(await store().findUploads(bucket, ['a', 'b'])).keys()]).toEqual(['b'])
      })

      test('takes ids and tokens as they are, whatever characters they have', async () => {
        for (const text of oddTexts) await store().putUpload(upload(text, `${text} `))
        expect(await store().findUploads(bucket, oddTexts)).toEqual(
          new Map(oddTexts.map((text) => [text, `${text} `])),
        )
      })

      test('takes long ids and tokens', async () => {
        const id = 'i'.repeat(1000)
        const token = 't'.repeat(8192)
        await store().putUpload(upload(id, token))
        expect(await store().findUploads(bucket, [id])).toEqual(new Map([[id, token]]))
      })

      test('looks up a thousand ids at once', async () => {
        await store().putUpload(upload('999'))
        const ids = Array.from({ length: 1000 }, (_, i) => `${i}`)
        expect([...(await store().findUploads(bucket, ids)).keys()]).toEqual(['999'])
      })
    })

    describe('layouts', () => {
      test('gives back a record as it was put', async () => {
        await store().putLayout(layout())
        expect(await store().findLayouts(bucket, ['key'])).toEqual([layout()])
      })

      test('finds none without keys, under another key or in another bucket', async () => {
        await store().putLayout(layout())
        expect(await store().findLayouts(bucket, [])).toEqual([])
        expect(await store().findLayouts(bucket, ['ke', 'key/', 'KEY'])).toEqual([])
        expect(await store().findLayouts(`${bucket}x`, ['key'])).toEqual([])
      })

      test('keeps the records of several uploads to one key apart', async () => {
        const first = layout({ backendUploadId: 'first' })
        const second = layout({ backendUploadId: 'second', etag: null, storedSize: 1 })
        await store().putLayout(first)
        await store().putLayout(second)
        const found = await store().findLayouts(bucket, ['key'])
        expect(found).toHaveLength(2)
        expect(found).toEqual(expect.arrayContaining([first, second]))
      })

      test('replaces the record of the same upload, the ETag included', async () => {
        await store().putLayout(layout({ etag: 'old' }))
        const replaced = layout({ etag: null, storedSize: 3, partSizes: [1, 2] })
        await store().putLayout(replaced)
        expect(await store().findLayouts(bucket, ['key'])).toEqual([replaced])
      })

      test('fills in the ETag of one record only', async () => {
        const others = [layout({ backendUploadId: 'other' }), layout({ key: 'other' })]
        await store().putLayout(layout({ etag: null }))
        for (const other of others) await store().putLayout(other)
        await store().setLayoutEtag(bucket, 'key', 'upload', 'new-3')
        await store().setLayoutEtag(`${bucket}x`, 'key', 'upload', 'wrong')
        const found = await store().findLayouts(bucket, ['key', 'other'])
        expect(found).toHaveLength(3)
        expect(found).toEqual(expect.arrayContaining([layout({ etag: 'new-3' }), ...others]))
      })

      test('makes no record by filling in an ETag', async () => {
        await store().setLayoutEtag(bucket, 'key', 'upload', 'etag')
        expect(await store().findLayouts(bucket, ['key'])).toEqual([])
      })

      test('deletes all records of one key and leaves the others', async () => {
        await store().putLayout(layout({ backendUploadId: 'first' }))
        await store().putLayout(layout({ backendUploadId: 'second' }))
        await store().putLayout(layout({ key: 'key2' }))
        await store().deleteLayouts(`${bucket}x`, 'key2')
        await store().deleteLayouts(bucket, 'key')
        await store().deleteLayouts(bucket, 'key')
        expect(await store().findLayouts(bucket, ['key', 'key2'])).toEqual([
          layout({ key: 'key2' }),
        ])
      })

      test('tells keys apart by their bytes, whatever characters they have', async () => {
        const records = oddKeys.map((key, i) => layout({ key, backendUploadId: `${i}` }))
        for (const record of records) await store().putLayout(record)
        for (const record of records) {
          expect(await store().findLayouts(bucket, [record.key])).toEqual([record])
        }
        const found = await store().findLayouts(bucket, oddKeys)
        expect(found).toHaveLength(records.length)
        expect(found).toEqual(expect.arrayContaining(records))
        await store().deleteLayouts(bucket, 'a\0b')
        expect(await store().findLayouts(bucket, ['a\0b'])).toEqual([])
        expect(await store().findLayouts(bucket, ['a'])).toHaveLength(1)
      })

      test('looks up a thousand keys at once, the longest there are', async () => {
        const keys = Array.from({ length: 1000 }, (_, i) => `${i}`.padStart(1024, 'k'))
        const last = layout({ key: keys[999] ?? '' })
        await store().putLayout(last)
        expect(await store().findLayouts(bucket, keys)).toEqual([last])
      })

      test('holds the largest object, and 10,000 parts of 10,000 sizes', async () => {
        const largest = layout({
          storedSize: 5 * 1024 ** 4,
          partSizes: Array.from({ length: 10_000 }, (_, i) => 5 * 1024 ** 3 - i),
        })
        await store().putLayout(largest)
        expect(await store().findLayouts(bucket, ['key'])).toEqual([largest])
      })

      test.each([
        ['10,001 parts', Array.from({ length: 10_001 }, () => 5_242_880)],
        ['a negative size', [5_242_880, -1]],
        ['a fraction', [0.5]],
        ['no number', [Number.NaN]],
        ['a size too large to be exact', [2 ** 53]],
      ])('refuses a layout with %s and keeps nothing of it', async (_, partSizes) => {
        await expect(store().putLayout(layout({ partSizes }))).rejects.toThrow(RangeError)
        expect(await store().findLayouts(bucket, ['key'])).toEqual([])
      })

      test('keeps a layout that is only known to be irregular', async () => {
        await store().putLayout(layout({ partSizes: [] }))
        expect(await store().findLayouts(bucket, ['key'])).toMatchObject([{ partSizes: [] }])
      })

      test('gives back any record', async () => {
        const records = fc.record({
          key: fc.string({ unit: 'binary', minLength: 1, maxLength: 256 }),
          backendUploadId: fc.string({ minLength: 1, maxLength: 200 }),
          etag: fc.option(fc.string({ maxLength: 40 })),
          storedSize: fc.nat(5 * 1024 ** 4),
          partSizes: fc.array(fc.nat(5 * 1024 ** 3), { minLength: 1, maxLength: 20 }),
        })
        await fc.assert(
          fc.asyncProperty(records, async (fields) => {
            const record = layout(fields)
            await store().putLayout(record)
            expect(await store().findLayouts(bucket, [record.key])).toContainEqual(record)
          }),
          { numRuns: slow ? 500 : 20 },
        )
      })
    })

    describe('marks', () => {
      test('a bucket is not complete until it is marked, and marking twice is fine', async () => {
        expect(await store().hasCompleteRecords(bucket)).toBe(false)
        await store().markRecordsComplete(bucket)
        await store().markRecordsComplete(bucket)
        expect(await store().hasCompleteRecords(bucket)).toBe(true)
        expect(await store().hasCompleteRecords(`${bucket}x`)).toBe(false)
      })

      test('a record neither makes nor removes the mark', async () => {
        await store().putLayout(layout())
        expect(await store().hasCompleteRecords(bucket)).toBe(false)
        await store().markRecordsComplete(bucket)
        await store().deleteLayouts(bucket, 'key')
        expect(await store().hasCompleteRecords(bucket)).toBe(true)
      })

      test('forgetting a bucket removes all that is known of it and nothing else', async () => {
        const other = `${bucket}x`
        for (const name of [bucket, other]) {
          await store().putUpload({ ...upload('a'), bucket: name })
          await store().putLayout(layout({ bucket: name }))
          await store().markRecordsComplete(name)
        }
        await store().forgetBucket(bucket)
        await store().forgetBucket(bucket)
        expect(await store().findUploads(bucket, ['a'])).toEqual(new Map())
        expect(await store().findLayouts(bucket, ['key'])).toEqual([])
        expect(await store().hasCompleteRecords(bucket)).toBe(false)
        expect((await store().findUploads(other, ['a'])).size).toBe(1)
        expect(await store().findLayouts(other, ['key'])).toHaveLength(1)
        expect(await store().hasCompleteRecords(other)).toBe(true)
      })
    })

    test('many calls at once do not disturb each other', async () => {
      const ids = Array.from({ length: 100 }, (_, i) => `${i}`)
      await Promise.all(ids.map((id) => store().putUpload(upload(id))))
      await Promise.all(
        ids.map((id) => store().putLayout(layout({ backendUploadId: 'same', key: id }))),
      )
      await Promise.all(ids.map(() => store().putLayout(layout())))
      const found = await Promise.all(ids.map((id) => store().findUploads(bucket, [id])))
      expect(found).toEqual(ids.map((id) => new Map([[id, `token of ${id}`]])))
      expect(await store().findLayouts(bucket, [...ids, 'key'])).toHaveLength(101)
    })

    test('a statement that the database refuses is an error, but no outage', async () => {
      const refused = store().findUploads('no\0bucket', ['a'])
      await expect(refused).rejects.toThrow(Error)
      await expect(refused).rejects.not.toThrow(StateUnavailableError)
      expect(await store().hasCompleteRecords(bucket)).toBe(false)
    })
  })
}
