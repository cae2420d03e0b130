/** Keys that act by themselves: `/` to the search field, `j` and `k` through a list, `g` and a letter to a page, `?` for this list. */
import { singleKeysAct } from './preferences.js'
import { go, link } from './router.js'

export const PAGES = /** @type {const} */ ([
  ['o', '/', 'Overview'],
  ['s', '/subscriptions', 'Subscriptions'],
  ['d', '/deliveries', 'Deliveries'],
  ['e', '/events', 'Events'],
  ['t', '/event-types', 'Event types'],
])

const SECOND_KEY_WITHIN_MS = 1200

/**
 * @param {() => void} showHelp
 * @param {AbortSignal} signal
 */
export function listenForKeys(showHelp, signal) {
  let pressedGAt = -Infinity
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !singleKeysAct()) return
    if (isTyping(event.target) || document.querySelector('dialog[open]') !== null) return
    const page = PAGES.find(([key]) => key === event.key)
    if (page !== undefined && event.timeStamp - pressedGAt < SECOND_KEY_WITHIN_MS) go(link(page[1]))
    else if (event.key === 'g') {
      pressedGAt = event.timeStamp
      return
    } else if (event.key === '/') focusFirst('[data-search]')
    else if (event.key === '?') showHelp()
    else if (event.key === 'j' || event.key === 'k') step(event.key === 'j' ? 1 : -1)
    else return
    pressedGAt = -Infinity
    event.preventDefault()
  }
  document.addEventListener('keydown', onKey, { signal })
}

/** @param {EventTarget | null} target */
function isTyping(target) {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || target.closest('input:not([type=checkbox]), textarea, select') !== null)
  )
}

/** @param {string} selector */
function focusFirst(selector) {
  const found = document.querySelector(selector)
  if (found instanceof HTMLElement) found.focus()
}

/** @param {1 | -1} by */
function step(by) {
  const links = [...document.querySelectorAll('[data-row]')].filter((link) => link instanceof HTMLElement)
  const row = document.activeElement?.closest('tr, li')
  const at = links.findIndex((link) => link === document.activeElement || row?.contains(link))
  const next = links[at === -1 ? 0 : Math.min(Math.max(at + by, 0), links.length - 1)]
  next?.focus()
}
