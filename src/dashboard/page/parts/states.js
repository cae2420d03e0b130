/** What stands where there is nothing to show: not yet, nothing at all, or a failure in the server's own words. */
import { Problem } from '../api.js'
import { h } from '../dom.js'
import { button } from './dialog.js'
import { icon } from './icon.js'
import { failureText } from './toast.js'

/** @import { Child } from '../dom.js' */

/** @param {number} [lines] */
export function skeleton(lines = 6) {
  return h(
    'div',
    { class: 'skeleton', role: 'status' },
    h('span', { class: 'visually-hidden' }, 'Loading'),
    Array.from({ length: lines }, () => h('span', { class: 'skeleton-line' })),
  )
}

/**
 * @param {string} title
 * @param {Child} text
 * @param {Child} [action]
 */
export function emptyState(title, text, action) {
  return h(
    'div',
    { class: 'state' },
    h('p', { class: 'state-title' }, title),
    h('p', {}, text),
    action === undefined ? null : h('p', {}, action),
  )
}

/**
 * @param {unknown} error
 * @param {() => unknown} [retry]
 */
export function errorState(error, retry) {
  const title = error instanceof Problem ? error.title : 'That did not work'
  return h(
    'div',
    { class: 'state', role: 'alert' },
    icon('warning'),
    h('p', { class: 'state-title' }, title),
    h('p', {}, error instanceof Problem ? error.message : failureText(error)),
    error instanceof Problem && error.requestId !== undefined
      ? h('p', { class: 'faint' }, 'Request ', h('code', {}, error.requestId))
      : null,
    retry === undefined ? null : h('p', {}, button([icon('again'), 'Try again'], 'button', retry)),
  )
}
