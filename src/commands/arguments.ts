/** Arguments as people type them, read before anything is done with them. A bad one is bad usage, told by commander. */
import { InvalidArgumentError } from 'commander'
import { parseDuration } from '../core/duration.ts'
import { parseStatusRange, type StatusRange } from '../core/status-range.ts'

const LARGEST_BIGINT = 2n ** 63n - 1n

/** A delivery's id: a bigint, as its decimal text. */
export function deliveryId(text: string): string {
  if (/^\d{1,19}$/.test(text) && BigInt(text) <= LARGEST_BIGINT) return String(BigInt(text))
  throw new InvalidArgumentError("A delivery's id is a whole number.")
}

/** A replay's: the same. */
export function replayId(text: string): string {
  if (/^\d{1,19}$/.test(text) && BigInt(text) <= LARGEST_BIGINT) return String(BigInt(text))
  throw new InvalidArgumentError("A replay's id is a whole number.")
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

export function subscriptionId(text: string): string {
  if (UUID.test(text)) return text.toLowerCase()
  throw new InvalidArgumentError("A subscription's id is a UUID.")
}

export function keyId(text: string): string {
  if (UUID.test(text)) return text.toLowerCase()
  throw new InvalidArgumentError("A key's id is a UUID.")
}

export function eventId(text: string): string {
  if (UUID.test(text)) return text.toLowerCase()
  throw new InvalidArgumentError("An event's id is a UUID.")
}

/** A duration as people write it; as it was written. */
export function duration(text: string): string {
  if ((parseDuration(text) ?? 0) > 0) return text
  throw new InvalidArgumentError('It has to be a duration like 15m, 2h or 7d.')
}

/** `503`, or `5xx`. */
export function statusRange(text: string): StatusRange {
  const range = parseStatusRange(text)
  if (range !== undefined) return range
  throw new InvalidArgumentError('It has to be an HTTP status like 503, or a class like 5xx.')
}

/** A point in time as Postgres reads it, or how long ago: `2026-11-22 15:00`, `2h`. */
export function pointInTime(now: () => number): (text: string) => string {
  return (text) => {
    const agoMs = parseDuration(text)
    return agoMs === undefined ? text : new Date(now() - agoMs).toISOString()
  }
}

/** A parser of whole numbers. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
    if (number >= least && number <= most) return number
    throw new InvalidArgumentError(`It has to be a whole number from ${least} to ${most}.`)
  }
}

export interface ListenAddress {
  readonly host: string
  readonly port: number
}

/** `127.0.0.1:9000`, `[::1]:9000`; port 0 takes a free one. */
export function listenAddress(text: string): ListenAddress {
  const match = /^(\[[0-9a-fA-F:]+\]|[^:\s]+):(\d{1,5})$/.exec(text)
  if (match !== null && Number(match[2]) <= 65_535)
    return { host: (match[1] ?? '').replace(/^\[|\]$/g, ''), port: Number(match[2]) }
  throw new InvalidArgumentError('It has to be host:port, like 127.0.0.1:9000.')
}
