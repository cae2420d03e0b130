/** What lists can be filtered by, where that is a choice. */
import { get } from '../api.js'
import { ERROR_TEXTS } from '../format.js'

/** @import { Options } from '../parts/filters.js' */
/** @import { Page, Subscription } from '../shapes.ts' */

const MOST = 200

/** @type {Options} */
export const ERROR_CHOICES = [['', 'Any'], ...Object.entries(ERROR_TEXTS)]

/**
 * @param {AbortSignal} signal
 * @returns {() => Promise<Options>}
 */
export function subscriptionChoices(signal) {
  return async () => {
    const { data } = /** @type {Page<Subscription>} */ (
      await get('/v1/subscriptions', { signal, query: { limit: MOST } })
    )
    return data.map(({ id, name, url }) => [id, name ?? url.replace(/^https?:\/\//, '')])
  }
}
