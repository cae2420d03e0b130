/** Short words about what was just done. Failures stay until they are put away. */
import { h } from '../dom.js'
import { Problem } from '../api.js'
import { icon } from './icon.js'

const STAYS_FOR_MS = 6000

const polite = h('div', { class: 'visually-hidden', role: 'status', 'aria-live': 'polite' })
const stack = h('div', { class: 'toasts', role: 'region', 'aria-label': 'Messages' })

/** Where messages appear: in the page once, and in the dialog that is open. @returns {readonly Element[]} */
export function toastPlaces() {
  return [stack, polite]
}

/** For screen readers alone. @param {string} text */
export function announce(text) {
  polite.textContent = ''
  setTimeout(() => (polite.textContent = text), 50)
}

/** @param {string} text */
export function told(text) {
  const toast = makeToast('good', text)
  setTimeout(() => toast.remove(), STAYS_FOR_MS)
  announce(text)
}

/** @param {unknown} error */
export function toldFailure(error) {
  const toast = makeToast('bad', failureText(error))
  toast.setAttribute('role', 'alert')
}

/** @param {unknown} error */
export function failureText(error) {
  if (!(error instanceof Error)) return String(error)
  if (error instanceof Problem && error.status === 412)
    return 'Somebody changed it meanwhile. Reload it, see what it is now, and decide anew.'
  const id = error instanceof Problem && error.requestId !== undefined ? ` (request ${error.requestId})` : ''
  const fields =
    error instanceof Problem ? error.errors.map(({ field, detail }) => `${field}: ${detail}`) : []
  return [error.message, ...fields].join(' · ') + (error instanceof Problem && error.status >= 500 ? id : '')
}

/** @param {'good' | 'bad'} tone @param {string} text */
function makeToast(tone, text) {
  const toast = h(
    'div',
    { class: `toast tone-${tone}` },
    icon(tone === 'good' ? 'check' : 'warning'),
    h('p', {}, text),
  )
  toast.append(
    h(
      'button',
      { type: 'button', class: 'icon-button', 'aria-label': 'Put away', onclick: () => toast.remove() },
      icon('cross'),
    ),
  )
  stack.append(toast)
  return toast
}
