/** Offers the catalog's names while event types are typed. */
import { get } from '../api.js'
import { h } from '../dom.js'

/** @import { EventType, Page } from '../shapes.ts' */

const LIST_ID = 'known-event-types'

/**
 * @param {AbortSignal} signal
 * @param {HTMLTextAreaElement} types
 */
export function knownEventTypes(signal, types) {
  const place = h('div', { class: 'suggestions', role: 'group', 'aria-label': 'Of the catalog' })
  types.after(place)
  void (
    /** @type {Promise<Page<EventType>>} */ (get('/v1/event-types', { signal })).then(
      ({ data }) => {
        const names = data.filter(({ deprecated }) => !deprecated).map(({ name }) => name)
        place.id = LIST_ID
        place.append(
          ...names
            .slice(0, 24)
            .map((name) =>
              h('button', { type: 'button', class: 'suggestion', onclick: () => add(types, name) }, name),
            ),
        )
      },
      // Suggestions are no more than that.
      () => undefined,
    )
  )
}

/** @param {HTMLTextAreaElement} types @param {string} name */
function add(types, name) {
  const now = types.value.split(/[\s,]+/).filter((each) => each !== '' && each !== '*')
  if (!now.includes(name)) types.value = [...now, name].join(' ')
}
