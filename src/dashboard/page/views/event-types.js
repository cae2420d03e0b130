/** The catalog: which event types there are, what they mean, and what their payloads look like. */
import { get } from '../api.js'
import { h, replace } from '../dom.js'
import { badge } from '../parts/badge.js'
import { jsonBlock } from '../parts/code.js'
import { filterBar } from '../parts/filters.js'
import { viewHead } from '../parts/layout.js'
import { region } from '../parts/region.js'
import { emptyState } from '../parts/states.js'
import { link } from '../router.js'

/** @import { Context, View } from '../router.js' */
/** @import { EventType, Page } from '../shapes.ts' */

/** @param {Context} context @returns {View} */
export function eventTypesView({ query, signal }) {
  let search = query.get('search') ?? ''
  /** @type {readonly EventType[]} */
  let types = []
  const bar = filterBar(
    [{ name: 'search', label: 'Name', placeholder: 'Part of a name', isSearch: true }],
    query,
  )
  const list = h('ul', { class: 'catalog' })
  const draw = () => {
    const found = types.filter(({ name }) => name.includes(search))
    if (types.length === 0)
      replace(
        part.node,
        emptyState('The catalog is empty', [
          'Events are sent all the same. A type that is described here shows its description and schema, and events can be held to it: ',
          h('code', {}, 'walhook event-types put order.created --schema order.json'),
        ]),
      )
    else if (found.length === 0) replace(part.node, emptyState('No such type', 'No name holds this text.'))
    else {
      replace(list, found.map(entry))
      if (list.parentNode !== part.node) replace(part.node, list)
    }
  }
  const part = region({
    label: 'Event types',
    signal,
    load: () => /** @type {Promise<Page<EventType>>} */ (get('/v1/event-types', { signal })),
    show: ({ data }) => {
      types = data
      draw()
    },
  })
  return {
    title: 'Event types',
    node: h(
      'div',
      {},
      viewHead({ title: 'Event types', lead: 'The catalog of what can be subscribed to.' }),
      bar.node,
      part.node,
    ),
    onQuery(changed) {
      search = changed.get('search') ?? ''
      bar.onQuery(changed)
      draw()
    },
  }
}

/** @param {EventType} type */
function entry({ name, description, deprecated, schema, example }) {
  return h(
    'li',
    { class: 'card' },
    h(
      'header',
      { class: 'card-head' },
      h('h2', {}, h('code', {}, name), deprecated ? [' ', badge('warn', 'Deprecated', 'warning')] : null),
      h(
        'a',
        {
          class: 'button small',
          href: link('/events', { type: name }),
          'data-row': true,
          'aria-label': `Events of type ${name}`,
        },
        'Events',
      ),
    ),
    description === null || description === ''
      ? h('p', { class: 'faint' }, 'No description.')
      : h('p', {}, description),
    schema === null || schema === undefined
      ? null
      : h('details', {}, h('summary', {}, 'Schema'), jsonBlock(schema, `Schema of ${name}`)),
    example === null || example === undefined
      ? null
      : h('details', {}, h('summary', {}, 'Example'), jsonBlock(example, `Example of ${name}`)),
  )
}
