/** Tries a filter on what was published lately, before anybody relies on it. */
import { send } from '../api.js'
import { h, replace } from '../dom.js'
import { badge } from '../parts/badge.js'
import { textBlock } from '../parts/code.js'
import { field, form } from '../parts/field.js'
import { card } from '../parts/layout.js'
import { emptyState } from '../parts/states.js'
import { time } from '../parts/time.js'
import { link } from '../router.js'

/** @import { Page, Subscription, TriedEvent } from '../shapes.ts' */

const EVENTS = 20

/**
 * @param {{ subscription: Pick<Subscription, 'filter' | 'event_types' | 'tenant'>, signal: AbortSignal }} options
 */
export function filterPlayground({ subscription, signal }) {
  const filter = h('textarea', {
    rows: 2,
    class: 'mono',
    spellcheck: 'false',
    placeholder: '$.amount > 100 && $.currency == "EUR"',
    value: subscription.filter ?? '',
  })
  const fields = [
    field({
      label: 'Filter',
      name: 'filter',
      hint: 'A SQL/JSON path predicate on the payload. What is tried here changes nothing.',
      control: filter,
    }),
  ]
  const result = h('div', { 'aria-live': 'polite' })
  return card('Filter playground', [
    form({
      fields,
      body: fields.map(({ node }) => node),
      verb: 'Try on recent events',
      submit: async () => {
        const { data } = /** @type {Pick<Page<TriedEvent>, 'data'>} */ (
          await send(
            'POST',
            '/v1/filters/dry-run',
            {
              filter: filter.value,
              event_types: subscription.event_types,
              ...(subscription.tenant === null ? {} : { tenant: subscription.tenant }),
              limit: EVENTS,
            },
            { signal },
          )
        )
        replace(result, data.length === 0 ? nothing() : tried(data))
      },
    }),
    result,
  ])
}

function nothing() {
  return emptyState(
    'No recent events',
    'Of these event types nothing was published lately that is still kept.',
  )
}

/** @param {readonly TriedEvent[]} events */
function tried(events) {
  const matching = events.filter(({ matches }) => matches).length
  return [
    h('p', {}, h('strong', {}, `${matching} of ${events.length}`), ' recent events match.'),
    h(
      'ul',
      { class: 'tried' },
      events.map(({ event_id: id, type, key, created_at: at, matches, payload }) =>
        h(
          'li',
          {},
          h(
            'details',
            {},
            h(
              'summary',
              {},
              matches ? badge('good', 'Matches', 'check') : badge('quiet', 'No match', 'minus'),
              h('span', {}, type),
              key === null ? null : h('span', { class: 'faint' }, key),
              h('span', { class: 'spring' }),
              time(at),
            ),
            textBlock(payload, 'Payload'),
            h('p', {}, h('a', { href: link(`/events/${id}`) }, 'To the event')),
          ),
        ),
      ),
    ),
  ]
}
