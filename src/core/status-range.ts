/** HTTP statuses as a person asks for them: `503`, or `5xx` for all of a class. */

export interface StatusRange {
  readonly from: number
  /** Inclusive. */
  readonly to: number
}

export const STATUS_RANGE = /^[1-5](?:\d\d|xx)$/

/** Undefined for what is none. */
export function parseStatusRange(text: string): StatusRange | undefined {
  if (!STATUS_RANGE.test(text)) return undefined
  return { from: Number(text.replace('xx', '00')), to: Number(text.replace('xx', '99')) }
}
