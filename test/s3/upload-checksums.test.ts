import { describe, expect, test } from 'vitest'
import { checksumAlgorithms } from '../../src/checksum/checksum.ts'
import { checksumOf, chunked, header, other, refusal, upload } from './uploads.ts'

describe.each(checksumAlgorithms)('%s', (algorithm) => {
  const name = header(algorithm)
  const right = checksumOf(algorithm)
  const wrong = checksumOf(algorithm, other)
  const announced = { 'x-amz-trailer': name, 'x-amz-sdk-checksum-algorithm': algorithm }

  test('in a header is verified and told', () => {
    const { checksum } = upload({ headers: { [name]: right } }).verified
    expect(checksum?.algorithm).toBe(algorithm)
    expect(checksum?.value.toString('base64')).toBe(right)
  })

  test('in a trailer is verified and told', () => {
    const { checksum } = upload(chunked([`${name}:${right}`], announced)).verified
    expect(checksum?.algorithm).toBe(algorithm)
    expect(checksum?.value.toString('base64')).toBe(right)
  })

  test('of other data is refused', () => {
    expect(refusal({ headers: { [name]: wrong } }).code).toBe('BadDigest')
    expect(refusal(chunked([`${name}:${wrong}`], announced)).code).toBe('BadDigest')
  })

  test.each([
    '',
    'AAAA',
    right.slice(1),
    `${right}=`,
    `${right} `,
    right.replace(/=*$/, ''),
    `AAAA${right}`,
  ])('with the value %j is refused', (value) => {
    const expected = value === right ? 'BadDigest' : 'InvalidRequest'
    expect(refusal({ headers: { [name]: value } }).code).toBe(expected)
  })

  test('that was announced and does not come is refused', () => {
    expect(refusal(chunked([], announced)).code).toBe('InvalidRequest')
    expect(refusal(chunked([`${name}:`], announced)).code).toBe('InvalidRequest')
  })

  test('that comes without having been announced is refused', () => {
    expect(refusal(chunked([`${name}:${right}`], {})).code).toBe('InvalidRequest')
  })

  test('beside another one is refused, wherever they stand', () => {
    const second = algorithm === 'SHA1' ? 'SHA256' : 'SHA1'
    const [a, b] = [{ [name]: right }, { [header(second)]: checksumOf(second) }]
    expect(refusal({ headers: { ...a, ...b } }).code).toBe('InvalidRequest')
    expect(refusal(chunked([`${name}:${right}`], { ...announced, ...b })).code).toBe(
      'InvalidRequest',
    )
    expect(refusal(chunked([`${name}:${right}`], { ...announced, ...a })).code).toBe(
      'InvalidRequest',
    )
    expect(refusal(chunked([], { 'x-amz-trailer': `${name},${header(second)}` })).code).toBe(
      'InvalidRequest',
    )
    expect(
      refusal(chunked([`${name}:${right}`, `${header(second)}:${checksumOf(second)}`], announced))
        .code,
    ).toBe('InvalidRequest')
  })

  test('that is not the one x-amz-sdk-checksum-algorithm promises is refused', () => {
    const promised = algorithm === 'CRC32' ? 'SHA256' : 'CRC32'
    const headers = { 'x-amz-sdk-checksum-algorithm': promised, [name]: right }
    expect(refusal({ headers }).code).toBe('InvalidRequest')
    expect(refusal({ headers: { 'x-amz-sdk-checksum-algorithm': algorithm } }).code).toBe(
      'InvalidRequest',
    )
  })
})
