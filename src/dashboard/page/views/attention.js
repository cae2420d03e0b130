/** The endpoints that want somebody: disabled ones, then failing ones, then those with dead letters or a pause. */
import { get } from '../api.js'
import { h, replace } from '../dom.js'
import { atMost } from '../format.js'
import { card, endpointText } from '../parts/layout.js'
import { region } from '../parts/region.js'
import { emptyState } from '../parts/states.js'
import { successStrip } from '../parts/strip.js'
import { link } from '../router.js'
import { stateCell } from './subscriptions.js'

/** @import { Page, Subscription } from '../shapes.ts' */

const SHOWN = 8

/** @param {AbortSignal} signal */
export function attentionCard(signal) {
  const part = region({
    label: 'Needs attention',
    signal,
    hints: ['subscription', 'stats'],
    lines: 4,
    load: () => load(signal),
    show: (data, node) => {
      const wanting = data
        .map((subscription) => ({ subscription, rank: urgency(subscription) }))
        .filter(({ rank }) => rank > 0)
        .sort((a, b) => b.rank - a.rank)
        .slice(0, SHOWN)
      if (data.length === 0)
        replace(
          node,
          emptyState(
            'No subscriptions yet',
            'One says which events go to which endpoint.',
            h('a', { class: 'button primary', href: link('/subscriptions/new') }, 'New subscription'),
          ),
        )
      else if (wanting.length === 0)
        replace(node, emptyState('All is well', 'No endpoint is failing, disabled, or has dead letters.'))
      else
        replace(
          node,
          h(
            'ul',
            { class: 'attention' },
            wanting.map(({ subscription }) => entry(subscription)),
          ),
        )
    },
  })
  return card('Needs attention', part.node, { className: 'flush' })
}

/**
 * However many there are: those that are known to want somebody, and of the newest those with dead letters.
 * @param {AbortSignal} signal
 * @returns {Promise<readonly Subscription[]>}
 */
async function load(signal) {
  const pages = await Promise.all(
    [{ state: 'disabled' }, { failing: 'true' }, { state: 'paused' }, {}].map(
      (query) =>
        /** @type {Promise<Page<Subscription>>} */ (
          get('/v1/subscriptions', { signal, query: { ...query, limit: 50 } })
        ),
    ),
  )
  const all = pages.flatMap(({ data }) => data)
  return [...new Map(all.map((subscription) => [subscription.id, subscription])).values()]
}

/** @param {Subscription} subscription */
function urgency({ state, health }) {
  if (state === 'disabled') return 4
  if (state === 'paused') return health.pending > 0 ? 1.5 : 1
  if (health.failing_since !== null) return 3
  return health.dead > 0 ? 2 : 0
}

/** @param {Subscription} subscription */
function entry(subscription) {
  const { id, name, url, recent, health } = subscription
  return h(
    'li',
    {},
    h(
      'div',
      { class: 'attention-head' },
      h(
        'a',
        {
          class: 'attention-name',
          href: link(`/subscriptions/${id}`),
          title: url,
          'data-row': true,
          'data-focus': `attention ${id}`,
        },
        name ?? endpointText(url),
      ),
      h(
        'span',
        { class: 'faint' },
        health.dead > 0 ? `${atMost(health.dead)} dead` : null,
        health.dead > 0 && health.pending > 0 ? ' · ' : null,
        health.pending > 0 ? `${atMost(health.pending)} waiting` : null,
      ),
    ),
    successStrip(recent),
    stateCell(subscription),
  )
}
