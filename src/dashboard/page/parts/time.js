/** A moment as it relates to now, with the exact one on hover. One clock keeps all of them right. */
import { h } from '../dom.js'
import { exact, relative } from '../format.js'

/**
 * @param {string | null | undefined} iso
 * @param {string} [none] what stands there where there is no moment
 */
export function time(iso, none = '–') {
  if (iso === null || iso === undefined) return h('span', { class: 'faint' }, none)
  const atMs = Date.parse(iso)
  if (Number.isNaN(atMs)) return h('span', {}, iso)
  return h('time', { datetime: iso, title: exact(iso), 'data-relative': true }, relative(atMs, Date.now()))
}

/** @param {AbortSignal} signal */
export function keepTimesRight(signal) {
  const timer = setInterval(() => {
    if (document.hidden) return
    const now = Date.now()
    for (const element of document.querySelectorAll('time[data-relative]')) {
      const text = relative(Date.parse(element.getAttribute('datetime') ?? ''), now)
      if (element.firstChild !== null && element.firstChild.nodeValue !== text)
        element.firstChild.nodeValue = text
    }
  }, 1000)
  signal.addEventListener('abort', () => clearInterval(timer))
}
