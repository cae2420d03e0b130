/**
 * An event's id from whatever text a client has for it, so that saying it twice publishes once: a UUID is the id; any other text
 * becomes one of version 8 (RFC 9562), always the same for the same text and scope.
 */
import { createHash } from 'node:crypto'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** `scope` keeps the texts of one tenant from being another's. */
export function idempotencyId(text: string, scope: string): string {
  if (UUID.test(text)) return text.toLowerCase()
  const bytes = createHash('sha256').update(`walhook event id\0${scope}\0${text}`).digest().subarray(0, 16)
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
