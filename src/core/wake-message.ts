/**
 * What `walhook.wake` writes to the log: the id of a subscription of which something was changed. It is no row of its transaction and
 * moves no position; what cannot be one is passed over.
 */

/** What pg_logical_emit_message calls a prefix. */
export const WAKE_PREFIX = 'walhook.wake'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** The subscription that is meant; undefined for anything else. */
export function wokenSubscription(content: string): string | undefined {
  return UUID.test(content) ? content : undefined
}
