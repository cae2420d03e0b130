/** Every subscription, with its health at a glance. */
import { h } from '../dom.js'
import { atMost, percent } from '../format.js'
import { stateBadge, tag } from '../parts/badge.js'
import { filterBar } from '../parts/filters.js'
import { endpointText, viewHead } from '../parts/layout.js'
import { liveList } from '../parts/list.js'
import { emptyState } from '../parts/states.js'
import { successStrip } from '../parts/strip.js'
import { table } from '../parts/table.js'
import { time } from '../parts/time.js'
import { link } from '../router.js'
import { isOperator, may } from '../session.js'

/** @import { Context, View } from '../router.js' */
/** @import { Filter } from '../parts/filters.js' */
/** @import { Subscription } from '../shapes.ts' */

const STATES = /** @type {const} */ ([
  ['', 'Any state'],
  ['active', 'Active'],
  ['paused', 'Paused'],
  ['disabled', 'Disabled'],
  ['failing', 'Failing'],
])

/** @param {Context} context @returns {View} */
export function subscriptionsView({ query, signal, me }) {
  let now = query
  const mayChange = may(me, 'operate')
  /** @type {readonly Filter[]} */
  const filters = [
    { name: 'url', label: 'Endpoint', placeholder: 'Part of the URL', isSearch: true },
    { name: 'state', label: 'State', options: STATES },
    ...(isOperator(me) ? [{ name: 'tenant', label: 'Tenant', placeholder: 'Any' }] : []),
  ]
  const bar = filterBar(filters, query)
  const create = mayChange
    ? h('a', { class: 'button primary', href: link('/subscriptions/new') }, 'New subscription')
    : null

  const rows = table({
    caption: 'Subscriptions',
    key: (/** @type {Subscription} */ { id }) => id,
    columns: [
      { label: 'Endpoint', width: 'grow', isHeading: true, cell: endpointCell },
      { label: 'State', cell: stateCell },
      { label: 'Events', cell: ({ event_types: types }) => typesCell(types) },
      { label: 'Last attempts', cell: ({ recent }) => successStrip(recent) },
      { label: 'Failed, 7 d', align: 'end', cell: failureCell },
      { label: 'Pending', align: 'end', cell: ({ health }) => number(health.pending) },
      { label: 'Dead', align: 'end', cell: deadCell },
      {
        label: 'Last delivered',
        align: 'end',
        cell: ({ health }) => time(health.last_delivered_at, 'never'),
      },
    ],
  })
  const list = liveList({
    label: 'Subscriptions',
    path: '/v1/subscriptions',
    query: () => ({
      url: now.get('url'),
      tenant: now.get('tenant'),
      ...(now.get('state') === 'failing' ? { failing: 'true' } : { state: now.get('state') }),
    }),
    signal,
    hints: ['subscription', 'delivery', 'stats'],
    rows,
    key: ({ id }) => id,
    empty: () =>
      [...now.keys()].length > 0
        ? emptyState('Nothing matches these filters', 'Every subscription is left out by them.')
        : emptyState(
            'No subscriptions yet',
            'A subscription says which events go to which endpoint. Events that are committed before it is made do not go there.',
            mayChange
              ? h('a', { class: 'button primary', href: link('/subscriptions/new') }, 'New subscription')
              : undefined,
          ),
  })
  return {
    title: 'Subscriptions',
    node: h('div', {}, viewHead({ title: 'Subscriptions', actions: create }), bar.node, list.node),
    onQuery(changed) {
      now = changed
      bar.onQuery(changed)
      void list.restart()
    },
  }
}

/** @param {Subscription} subscription */
function endpointCell({ id, name, url, description, tenant }) {
  const more = [
    tenant === null ? null : tag(tenant, 'Tenant'),
    name === null ? null : endpointText(url),
    description === null || description === '' ? null : h('span', { class: 'faint' }, description),
  ]
  return h(
    'div',
    { class: 'endpoint' },
    h(
      'a',
      {
        href: link(`/subscriptions/${id}`),
        title: url,
        'data-row': true,
        'data-focus': `subscription ${id}`,
      },
      name ?? endpointText(url),
    ),
    h('div', { class: 'endpoint-more' }, more),
  )
}

/** @param {Subscription} subscription */
export function stateCell({ state, state_reason: reason, health }) {
  if (state === 'active' && health.failing_since !== null)
    return h(
      'span',
      {},
      stateBadge('failing'),
      h('span', { class: 'reason faint' }, 'since ', time(health.failing_since)),
    )
  return h(
    'span',
    {},
    stateBadge(state),
    reason === null || reason === '' ? null : h('span', { class: 'reason faint', title: reason }, reason),
  )
}

/** @param {readonly string[]} types */
export function typesCell(types) {
  const [first, ...rest] = types
  return h(
    'span',
    { class: 'tags', title: types.join(', ') },
    first === undefined ? null : tag(first === '*' ? 'all events' : first),
    rest.length === 0 ? null : h('span', { class: 'faint' }, `+${rest.length}`),
  )
}

/** @param {Subscription} subscription */
function failureCell({ health: { failure_rate_7d: rate } }) {
  if (rate === null) return h('span', { class: 'faint zero' }, '–')
  return h('span', { class: rate === 0 ? 'faint zero' : 'bad' }, percent(rate))
}

/** @param {number} value */
function number(value) {
  return value === 0 ? h('span', { class: 'faint zero' }, '0') : atMost(value)
}

/** @param {Subscription} subscription */
function deadCell({ id, health }) {
  if (health.dead === 0) return h('span', { class: 'faint zero' }, '0')
  return h(
    'a',
    { class: 'bad', href: link('/deliveries', { subscription_id: id, state: 'dead' }) },
    atMost(health.dead),
    h('span', { class: 'visually-hidden' }, ' dead deliveries'),
  )
}
