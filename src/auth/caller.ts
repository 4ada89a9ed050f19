/** Who sent a request, after their signature was verified. */
export interface Caller {
  readonly accessKeyId: string
}
