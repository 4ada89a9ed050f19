import { readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { renderCompatibilityPage } from '../support/s3-compatibility.ts'

const page = new URL('../../docs/s3-compatibility.md', import.meta.url)

test('the compatibility page is what the operation table and the S3 model say', async () => {
  const rendered = await renderCompatibilityPage()
  if (process.env['UPDATE_PAGES']) writeFileSync(page, rendered)
  expect(readFileSync(page, 'utf8')).toBe(rendered)
})
