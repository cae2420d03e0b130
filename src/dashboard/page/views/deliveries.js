/** Deliveries as they happen. What is filtered can be resent: what is selected, or all of it, after a look at how many. */
import { h, replace } from '../dom.js'
import { counted } from '../format.js'
import { stateBadge } from '../parts/badge.js'
import { button } from '../parts/dialog.js'
import { filterBar } from '../parts/filters.js'
import { endpointText, viewHead } from '../parts/layout.js'
import { liveList } from '../parts/list.js'
import { emptyState } from '../parts/states.js'
import { isSuccess, outcomeText } from '../parts/strip.js'
import { table } from '../parts/table.js'
import { time } from '../parts/time.js'
import { link } from '../router.js'
import { isOperator, may } from '../session.js'
import { resendFiltered } from './resend-dialog.js'
import { ERROR_CHOICES, subscriptionChoices } from './filter-choices.js'
import { Selection } from './selection.js'

/** @import { Context, View } from '../router.js' */
/** @import { Filter } from '../parts/filters.js' */
/** @import { Delivery } from '../shapes.ts' */

const STATES = /** @type {const} */ ([
  ['', 'Any state'],
  ['pending', 'Pending'],
  ['delivered', 'Delivered'],
  ['dead', 'Dead letters'],
  ['cancelled', 'Cancelled'],
])

/** The parameters of the list that are filters. */
export const FILTERS = /** @type {const} */ ([
  'event_type',
  'state',
  'status',
  'error',
  'key',
  'tenant',
  'subscription_id',
  'event_id',
  'since',
  'until',
])

/** @param {URLSearchParams} query */
export function filterOf(query) {
  return Object.fromEntries(
    FILTERS.flatMap((name) => {
      const value = query.get(name)
      return value === null || value === '' ? [] : [[name, value]]
    }),
  )
}

/** @param {Context} context @returns {View} */
export function deliveriesView({ query, signal, me }) {
  let now = query
  const mayResend = may(me, 'operate')
  /** @type {readonly Filter[]} */
  const filters = [
    { name: 'event_type', label: 'Event type', placeholder: 'order.created or order.*', isSearch: true },
    { name: 'state', label: 'State', options: STATES },
    { name: 'subscription_id', label: 'Subscription', options: subscriptionChoices(signal) },
    { name: 'status', label: 'Last status', placeholder: '503 or 5xx' },
    { name: 'error', label: 'Error', options: ERROR_CHOICES },
    { name: 'key', label: 'Key', placeholder: 'Any', isRare: true },
    ...(isOperator(me) ? [{ name: 'tenant', label: 'Tenant', placeholder: 'Any', isRare: true }] : []),
    { name: 'since', label: 'Since', isTime: true, isRare: true },
    { name: 'until', label: 'Until', isTime: true, isRare: true },
    { name: 'event_id', label: 'Event', placeholder: 'Id', isRare: true },
  ]
  const bar = filterBar(filters, query)
  const selection = new Selection(signal, () => void list.refresh())
  const resend = mayResend
    ? button('Resend filtered…', 'button', () =>
        resendFiltered({ filter: filterOf(now), signal, onDone: () => void list.refresh() }),
      )
    : null

  const rows = table({
    caption: 'Deliveries, newest first',
    key: (/** @type {Delivery} */ { id }) => id,
    columns: [
      ...(mayResend
        ? [{ label: 'Select', width: 'fit', isHiddenLabel: true, cell: selection.checkbox }]
        : []),
      { label: 'Event', isHeading: true, cell: eventCell },
      { label: 'State', cell: stateCell },
      { label: 'Endpoint', width: 'grow', cell: ({ url }) => endpointText(url) },
      { label: 'Last outcome', cell: outcomeCell },
      { label: 'Attempts', align: 'end', cell: ({ attempts }) => attempts },
      { label: 'Created', align: 'end', cell: ({ created_at: at }) => time(at) },
    ],
  })
  const list = liveList({
    label: 'Deliveries',
    path: '/v1/deliveries',
    query: () => filterOf(now),
    signal,
    hints: ['delivery'],
    rows,
    key: ({ id }) => id,
    onItems: (items) => selection.offer(items),
    empty: () =>
      Object.keys(filterOf(now)).length > 0
        ? emptyState('No such deliveries', 'None that are kept fit these filters.')
        : emptyState(
            'No deliveries yet',
            'One appears here for each event and each subscription that it matches, as soon as the event is committed.',
          ),
  })
  const offer = h('div', {})
  const showResend = () => replace(offer, now.get('state') === 'dead' ? deadHint() : null)
  showResend()
  return {
    title: 'Deliveries',
    node: h(
      'div',
      {},
      viewHead({ title: 'Deliveries', actions: resend }),
      bar.node,
      offer,
      mayResend ? selection.bar : null,
      list.node,
    ),
    onQuery(changed) {
      now = changed
      bar.onQuery(changed)
      selection.clear()
      showResend()
      void list.restart()
    },
  }
}

function deadHint() {
  return h(
    'p',
    { class: 'note' },
    'Dead letters are not attempted again by themselves. Mend the endpoint, filter for what it missed, and resend.',
  )
}

/** @param {Delivery} delivery */
function eventCell({ id, event_type: type, key }) {
  return h(
    'div',
    { class: 'endpoint' },
    h(
      'a',
      { href: link(`/deliveries/${id}`), 'data-row': true, 'data-focus': `delivery ${id}` },
      type ?? 'event no longer kept',
    ),
    key === null
      ? null
      : h('div', { class: 'endpoint-more faint' }, h('span', { class: 'cut', title: `Key ${key}` }, key)),
  )
}

/** @param {Delivery} delivery */
function stateCell({ state, waits_as: waits, next_attempt_at: next }) {
  if (state !== 'pending' || waits === null) return stateBadge(state)
  return h(
    'span',
    {},
    stateBadge(state, waits.charAt(0).toUpperCase() + waits.slice(1)),
    waits === 'retry scheduled' || waits === 'delayed'
      ? h('span', { class: 'reason faint' }, time(next))
      : null,
  )
}

/** @param {Delivery} delivery */
function outcomeCell({ last_status: status, last_error: error }) {
  if (status === null && error === null) return h('span', { class: 'faint zero' }, '–')
  const isGood = isSuccess(status)
  return h('span', { class: isGood ? 'outcome' : 'outcome bad' }, outcomeText(status, error))
}

/** @param {number} value */
export function deliveries(value) {
  return counted(value, 'delivery', 'deliveries')
}
