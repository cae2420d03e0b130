/** One subscription: how it fares, what it is set to, what it was sent, and everything that can be done with it. */
import { getTagged } from '../api.js'
import { h, replace } from '../dom.js'
import { atMost, counted, percent } from '../format.js'
import { copyableId } from '../parts/copy.js'
import { card, endpointText, facts, figure, viewHead } from '../parts/layout.js'
import { region } from '../parts/region.js'
import { successStrip } from '../parts/strip.js'
import { tag } from '../parts/badge.js'
import { time } from '../parts/time.js'
import { link } from '../router.js'
import { may } from '../session.js'
import { subscriptionActions } from './subscription-actions.js'
import { filterPlayground } from './filter-playground.js'
import { recentDeliveries } from './recent-deliveries.js'
import { subscriptionSettings } from './subscription-settings.js'
import { statsCard } from './stats-card.js'
import { stateCell, typesCell } from './subscriptions.js'

/** @import { Context, View } from '../router.js' */
/** @import { Answer } from '../api.js' */
/** @import { Subscription } from '../shapes.ts' */

/** @param {Context} context @returns {View} */
export function subscriptionView({ params, signal, me }) {
  const id = params['id'] ?? ''
  const path = `/v1/subscriptions/${encodeURIComponent(id)}`
  const title = h('span', {}, 'Subscription')
  const lead = h('div', { class: 'lead-parts' })
  const actions = h('div', { class: 'actions' })
  const side = h('div', { class: 'stack' })
  const playground = h('div', {})
  let hasPlayground = false
  const main = region({
    label: 'Health',
    signal,
    hints: ['subscription', 'delivery'],
    load: () => /** @type {Promise<Answer<Subscription>>} */ (getTagged(path, { signal })),
    show: ({ body: subscription, etag }, node) => {
      replace(title, subscription.name ?? endpointText(subscription.url))
      replace(
        lead,
        stateCell(subscription),
        subscription.name === null ? null : endpointText(subscription.url),
        tags(subscription),
      )
      if (may(me, 'operate'))
        replace(
          actions,
          subscriptionActions({ subscription, etag, path, signal, refresh: () => void main.refresh() }),
        )
      replace(node, health(subscription))
      replace(side, subscriptionSettings(subscription))
      if (hasPlayground) return
      hasPlayground = true
      replace(playground, filterPlayground({ subscription, signal }))
    },
  })
  return {
    title: 'Subscription',
    node: h(
      'div',
      {},
      viewHead({ title, lead, actions, back: { href: link('/subscriptions'), text: 'Subscriptions' } }),
      h(
        'div',
        { class: 'columns' },
        h(
          'div',
          { class: 'stack' },
          main.node,
          statsCard({ path: `${path}/stats`, signal, title: 'Attempts' }),
          recentDeliveries({ query: { subscription_id: id }, signal }),
          playground,
        ),
        side,
      ),
    ),
  }
}

/** @param {Subscription} subscription */
function tags({ tenant, event_types: types }) {
  return [tenant === null ? null : tag(tenant, 'Tenant'), typesCell(types)]
}

/** @param {Subscription} subscription */
function health({ id, state, state_reason: reason, health: now, recent, description }) {
  const failed = recent.filter(({ outcome }) => outcome !== 'delivered').length
  return card('Health', [
    description === null || description === '' ? null : h('p', {}, description),
    state === 'active'
      ? null
      : h(
          'p',
          { class: state === 'disabled' ? 'note bad' : 'note' },
          state === 'disabled' ? 'Disabled by failure' : 'Paused',
          reason === null || reason === '' ? '' : `: ${reason}`,
          '. What it is owed waits, and is delivered once it is resumed.',
        ),
    now.failing_since === null
      ? null
      : h(
          'p',
          { class: 'note bad' },
          `${counted(now.failures_in_a_row, 'failure')} in a row, since `,
          time(now.failing_since),
          '.',
        ),
    h(
      'dl',
      { class: 'figures' },
      figure(
        'Last attempts',
        successStrip(recent),
        recent.length === 0 ? 'none yet' : `${percent(failed / recent.length)} failed`,
      ),
      figure(
        'Pending',
        h('a', { href: link('/deliveries', { subscription_id: id, state: 'pending' }) }, atMost(now.pending)),
        [now.oldest_pending_at === null ? 'nothing waits' : ['oldest ', time(now.oldest_pending_at)]],
      ),
      figure(
        'Dead',
        h('a', { href: link('/deliveries', { subscription_id: id, state: 'dead' }) }, atMost(now.dead)),
        now.dead === 0 ? 'no dead letters' : 'not attempted again by themselves',
        now.dead === 0 ? undefined : 'bad',
      ),
      figure('Last delivered', time(now.last_delivered_at, 'never')),
    ),
    facts([['Id', copyableId(id)]]),
  ])
}
