/**
 * A part of a view that shows what the server has: a skeleton first, then the answer, then what changed. An answer that fails
 * later leaves what is shown, and says that it is old.
 */
import { focusWithin, h, replace } from '../dom.js'
import { onChange } from '../live.js'
import { errorState, skeleton } from './states.js'

/** @import { HintKind } from '../live.js' */

/**
 * @template T
 * @typedef {object} RegionOptions
 * @property {string} label  what a screen reader calls it
 * @property {AbortSignal} signal
 * @property {() => Promise<T>} load
 * @property {(data: T, node: HTMLElement) => void} show  called only where the answer is another than before
 * @property {readonly HintKind[]} [hints]
 * @property {number} [everyMs]  for what nothing hints at
 * @property {number} [lines]  of the skeleton
 */

/**
 * @template T
 * @param {RegionOptions<T>} options
 * @returns {{ node: HTMLElement, refresh: () => Promise<void> }}
 */
export function region({ label, signal, load, show, hints = [], everyMs, lines = 6 }) {
  const node = h('section', { class: 'region', 'aria-label': label, 'aria-busy': 'true' }, skeleton(lines))
  /** @type {string | undefined} */
  let shown
  let asked = 0
  const refresh = async () => {
    const number = ++asked
    try {
      const data = await load()
      if (signal.aborted || number !== asked) return
      node.querySelector(':scope > .stale')?.remove()
      const text = JSON.stringify(data)
      if (text === shown) return
      const focused = focusWithin(node)
      if (shown === undefined) replace(node)
      shown = text
      show(data, node)
      focused?.()
    } catch (error) {
      if (signal.aborted || number !== asked) return
      fail(error)
    } finally {
      if (number === asked) node.setAttribute('aria-busy', 'false')
    }
  }
  const fail = (/** @type {unknown} */ error) => {
    if (shown === undefined) replace(node, errorState(error, refresh))
    else if (node.querySelector(':scope > .stale') === null)
      node.prepend(
        h('p', { class: 'stale', role: 'status' }, 'This may be out of date: the server did not answer. '),
      )
  }
  onChange(hints, () => void refresh(), signal)
  if (everyMs !== undefined) {
    const timer = setInterval(() => {
      if (!document.hidden) void refresh()
    }, everyMs)
    signal.addEventListener('abort', () => clearInterval(timer))
  }
  void refresh()
  return { node, refresh }
}
