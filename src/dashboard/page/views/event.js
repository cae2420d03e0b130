/** One event: what it says, who got it, and of everybody else why not. */
import { get } from '../api.js'
import { h, replace } from '../dom.js'
import { badge, stateBadge } from '../parts/badge.js'
import { jsonBlock } from '../parts/code.js'
import { copyableId } from '../parts/copy.js'
import { card, endpointText, facts, viewHead } from '../parts/layout.js'
import { region } from '../parts/region.js'
import { emptyState } from '../parts/states.js'
import { outcomeText } from '../parts/strip.js'
import { table } from '../parts/table.js'
import { time } from '../parts/time.js'
import { link } from '../router.js'

/** @import { Context, View } from '../router.js' */
/** @import { Delivery, EventMatch, OutboxEvent, Page } from '../shapes.ts' */

const REASONS = /** @type {Readonly<Record<string, string>>} */ ({
  'event type': 'It subscribes to other event types',
  tenant: 'It is another tenant’s',
  filter: 'Its filter says no to this payload',
  'made after the event': 'It was made after the event was committed',
  'the catalog refused it': 'The catalog of event types refused the event',
  expunged: 'The payload was expunged',
})

/** @param {Context} context @returns {View} */
export function eventView({ params, signal }) {
  const id = params['id'] ?? ''
  const path = `/v1/events/${encodeURIComponent(id)}`
  const title = h('span', {}, 'Event')
  const story = region({
    label: 'Event',
    signal,
    load: () => /** @type {Promise<OutboxEvent>} */ (get(path, { signal })),
    show: (event, node) => {
      replace(title, event.type)
      replace(
        node,
        card('Summary', [
          facts([
            ['Id', copyableId(event.id, 'Copy event id')],
            ['Key', event.key],
            ['Tenant', event.tenant],
            ['Published', time(event.created_at)],
          ]),
        ]),
        card('Content', [jsonBlock(event.payload, 'Payload'), jsonBlock(event.headers ?? {}, 'Headers')]),
      )
    },
  })
  return {
    title: 'Event',
    node: h(
      'div',
      {},
      viewHead({ title, back: { href: link('/events'), text: 'Events' } }),
      h(
        'div',
        { class: 'columns' },
        h('div', { class: 'stack' }, whoGotIt(path, signal), whoMatches(path, signal)),
        story.node,
      ),
    ),
  }
}

/** @param {string} path @param {AbortSignal} signal */
function whoGotIt(path, signal) {
  const rows = table({
    caption: 'Deliveries of this event',
    key: (/** @type {Delivery} */ delivery) => delivery.id,
    columns: [
      {
        label: 'Endpoint',
        isHeading: true,
        width: 'grow',
        cell: (delivery) =>
          h('a', { href: link(`/deliveries/${delivery.id}`), 'data-row': true }, endpointText(delivery.url)),
      },
      { label: 'State', cell: (delivery) => stateBadge(delivery.state) },
      {
        label: 'Last outcome',
        cell: ({ last_status: status, last_error: error }) =>
          status === null && error === null ? h('span', { class: 'faint' }, '–') : outcomeText(status, error),
      },
      { label: 'Attempts', align: 'end', cell: (delivery) => delivery.attempts },
    ],
  })
  const part = region({
    label: 'Deliveries of this event',
    signal,
    hints: ['delivery'],
    lines: 3,
    load: () =>
      /** @type {Promise<Page<Delivery>>} */ (get(`${path}/deliveries`, { signal, query: { limit: 200 } })),
    show: ({ data }, node) => {
      rows.update(data)
      if (data.length === 0)
        replace(node, emptyState('Nobody got it', 'No subscription matched it when it was committed.'))
      else if (rows.node.parentNode !== node) replace(node, rows.node)
    },
  })
  return card('Who got it', part.node, { className: 'flush' })
}

/** @param {string} path @param {AbortSignal} signal */
function whoMatches(path, signal) {
  const rows = table({
    caption: 'Subscriptions, and whether they match this event',
    key: (/** @type {EventMatch} */ match) => match.subscription_id,
    columns: [
      {
        label: 'Endpoint',
        isHeading: true,
        width: 'grow',
        cell: ({ subscription_id: id, url }) =>
          h('a', { href: link(`/subscriptions/${id}`) }, endpointText(url)),
      },
      {
        label: 'Matches',
        cell: ({ matches }) =>
          matches ? badge('good', 'Matches', 'check') : badge('quiet', 'Does not match', 'minus'),
      },
      {
        label: 'Why',
        width: 'wide',
        cell: ({ reason }) =>
          reason === null ? h('span', { class: 'faint' }, '–') : (REASONS[reason] ?? reason),
      },
    ],
  })
  const part = region({
    label: 'Who matches, and why not',
    signal,
    hints: ['subscription'],
    lines: 3,
    load: () => /** @type {Promise<Page<EventMatch>>} */ (get(`${path}/matches`, { signal })),
    show: ({ data }, node) => {
      rows.update(data)
      if (data.length === 0) replace(node, emptyState('No subscriptions', 'There is nobody who could match.'))
      else if (rows.node.parentNode !== node) replace(node, rows.node)
    },
  })
  return card('Who matches now, and why not', part.node, { className: 'flush' })
}
