/** The last few deliveries of something, with a way to all of them. */
import { get } from '../api.js'
import { h, replace } from '../dom.js'
import { stateBadge } from '../parts/badge.js'
import { card } from '../parts/layout.js'
import { region } from '../parts/region.js'
import { emptyState } from '../parts/states.js'
import { isSuccess, outcomeText } from '../parts/strip.js'
import { table } from '../parts/table.js'
import { time } from '../parts/time.js'
import { link } from '../router.js'

/** @import { Delivery, Page } from '../shapes.ts' */

/**
 * @param {{ query: Readonly<Record<string, string>>, signal: AbortSignal }} options
 */
export function recentDeliveries({ query, signal }) {
  const rows = table({
    caption: 'The last deliveries',
    key: (/** @type {Delivery} */ { id }) => id,
    columns: [
      {
        label: 'Event',
        isHeading: true,
        width: 'grow',
        cell: ({ id, event_type: type }) =>
          h(
            'a',
            { href: link(`/deliveries/${id}`), 'data-row': true, 'data-focus': `delivery ${id}` },
            type ?? 'event no longer kept',
          ),
      },
      { label: 'State', cell: ({ state }) => stateBadge(state) },
      {
        label: 'Last outcome',
        cell: ({ last_status: status, last_error: error }) =>
          status === null && error === null
            ? h('span', { class: 'faint' }, '–')
            : h('span', { class: isSuccess(status) ? 'outcome' : 'outcome bad' }, outcomeText(status, error)),
      },
      { label: 'Attempts', align: 'end', cell: ({ attempts }) => attempts },
      { label: 'Created', align: 'end', cell: ({ created_at: at }) => time(at) },
    ],
  })
  const part = region({
    label: 'The last deliveries',
    signal,
    hints: ['delivery'],
    lines: 5,
    load: () =>
      /** @type {Promise<Page<Delivery>>} */ (
        get('/v1/deliveries', { signal, query: { ...query, limit: 8 } })
      ),
    show: ({ data }, node) => {
      rows.update(data)
      if (data.length === 0)
        replace(node, emptyState('Nothing yet', 'Deliveries appear here as events are committed.'))
      else if (rows.node.parentNode !== node) replace(node, rows.node)
    },
  })
  return card('Last deliveries', part.node, {
    className: 'flush',
    actions: h('a', { class: 'button small', href: link('/deliveries', query) }, 'All deliveries'),
  })
}
