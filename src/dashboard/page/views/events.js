/** What was published, newest first. */
import { h } from '../dom.js'
import { button } from '../parts/dialog.js'
import { filterBar } from '../parts/filters.js'
import { tag } from '../parts/badge.js'
import { viewHead } from '../parts/layout.js'
import { liveList } from '../parts/list.js'
import { emptyState } from '../parts/states.js'
import { table } from '../parts/table.js'
import { time } from '../parts/time.js'
import { link } from '../router.js'
import { isOperator, may } from '../session.js'
import { publishDialog } from './publish-dialog.js'

/** @import { Context, View } from '../router.js' */
/** @import { Filter } from '../parts/filters.js' */
/** @import { OutboxEvent } from '../shapes.ts' */

/** @param {Context} context @returns {View} */
export function eventsView({ query, signal, me }) {
  let now = query
  const mayPublish = may(me, 'operate')
  /** @type {readonly Filter[]} */
  const filters = [
    { name: 'type', label: 'Type', placeholder: 'order.created or order.*', isSearch: true },
    { name: 'key', label: 'Key', placeholder: 'Any' },
    ...(isOperator(me) ? [{ name: 'tenant', label: 'Tenant', placeholder: 'Any' }] : []),
    { name: 'since', label: 'Since', isTime: true },
    { name: 'until', label: 'Until', isTime: true },
  ]
  const bar = filterBar(filters, query)
  const publish = () => publishDialog({ me, signal, onDone: () => void list.refresh() })
  const rows = table({
    caption: 'Events, newest first',
    key: (/** @type {OutboxEvent} */ { id }) => id,
    columns: [
      {
        label: 'Type',
        isHeading: true,
        width: 'grow',
        cell: ({ id, type }) =>
          h('a', { href: link(`/events/${id}`), 'data-row': true, 'data-focus': `event ${id}` }, type),
      },
      {
        label: 'Key',
        cell: ({ key }) =>
          key === null ? h('span', { class: 'faint' }, '–') : h('span', { class: 'cut', title: key }, key),
      },
      ...(isOperator(me)
        ? [
            {
              label: 'Tenant',
              cell: (/** @type {OutboxEvent} */ { tenant }) =>
                tenant === null ? h('span', { class: 'faint' }, '–') : tag(tenant),
            },
          ]
        : []),
      { label: 'Id', cell: ({ id }) => h('code', { class: 'id-cell', title: id }, id) },
      { label: 'Published', align: 'end', cell: ({ created_at: at }) => time(at) },
    ],
  })
  const list = liveList({
    label: 'Events',
    path: '/v1/events',
    query: () => Object.fromEntries(filters.map(({ name }) => [name, now.get(name)])),
    signal,
    hints: ['delivery'],
    rows,
    key: ({ id }) => id,
    empty: () =>
      filters.some(({ name }) => now.has(name))
        ? emptyState('No such events', 'None that are kept fit these filters.')
        : emptyState(
            'No events yet',
            [
              'An event is a row that your application inserts in its own transaction: ',
              h('code', {}, "select walhook.publish('order.created', '{\"id\": 1}')"),
            ],
            mayPublish ? button('Publish a test event', 'button primary', publish) : undefined,
          ),
  })
  return {
    title: 'Events',
    node: h(
      'div',
      {},
      viewHead({
        title: 'Events',
        actions: mayPublish ? button('Publish event', 'button primary', publish) : null,
      }),
      bar.node,
      list.node,
    ),
    onQuery(changed) {
      now = changed
      bar.onQuery(changed)
      void list.restart()
    },
  }
}
