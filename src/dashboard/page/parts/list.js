/** A live list with pages: the first page follows what happens, further ones are fetched when they are asked for. */
import { get } from '../api.js'
import { h, replace } from '../dom.js'
import { button } from './dialog.js'
import { region } from './region.js'
import { toldFailure } from './toast.js'

/** @import { Query } from '../api.js' */
/** @import { Child } from '../dom.js' */
/** @import { HintKind } from '../live.js' */
/** @import { Page } from '../shapes.ts' */

const PAGE_SIZE = 50

/**
 * @template T
 * @param {{
 *   label: string, path: string, query: () => Query, signal: AbortSignal, hints?: readonly HintKind[],
 *   rows: { node: Element, update: (items: readonly T[]) => void }, key: (item: T) => string,
 *   empty: () => Child, onItems?: (items: readonly T[]) => void,
 * }} options
 */
export function liveList({ label, path, query, signal, hints = [], rows, key, empty, onItems }) {
  /** @type {readonly T[]} */
  let further = []
  /** @type {string | null} */
  let nextCursor = null
  /** @type {readonly T[]} */
  let first = []
  const more = h('div', { class: 'more' })

  /** @param {string | null} cursor @returns {Promise<Page<T>>} */
  const page = (cursor) => get(path, { query: { ...query(), limit: PAGE_SIZE, cursor }, signal })

  const items = () => {
    const known = new Set(first.map(key))
    return [...first, ...further.filter((item) => !known.has(key(item)))]
  }

  const loadMore = async () => {
    try {
      const { data, next_cursor } = await page(nextCursor)
      further = [...further, ...data]
      nextCursor = next_cursor
      draw()
    } catch (error) {
      if (!signal.aborted) toldFailure(error)
    }
  }

  /** @type {HTMLElement | undefined} */
  let place
  const draw = () => {
    if (place === undefined) return
    const all = items()
    rows.update(all)
    // A page can be empty and have another behind it: few of many fit the filters.
    if (all.length === 0 && nextCursor === null) replace(place, empty())
    else if (rows.node.parentNode !== place) replace(place, rows.node, more)
    replace(
      more,
      nextCursor === null
        ? null
        : button(
            all.length === 0 ? 'None among the newest: look further back' : 'Load more',
            'button',
            loadMore,
          ),
    )
    onItems?.(all)
  }

  const { node, refresh } = region({
    label,
    signal,
    hints,
    load: () => page(null),
    show: (answer, into) => {
      // Where more was asked for, the cursor is that of the last page, and rows that left the first one stay.
      if (further.length === 0) nextCursor = answer.next_cursor
      else {
        const now = new Set(answer.data.map(key))
        further = [...first.filter((item) => !now.has(key(item))), ...further]
      }
      first = answer.data
      place = into
      draw()
    },
  })
  return {
    node,
    refresh,
    /** For another query. */
    restart: () => {
      further = []
      node.setAttribute('aria-busy', 'true')
      return refresh()
    },
  }
}
