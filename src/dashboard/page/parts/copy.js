/** Puts a text on the clipboard, and says that it did. */
import { h, replace } from '../dom.js'
import { icon } from './icon.js'
import { announce } from './toast.js'

const SAYS_SO_FOR_MS = 1500

/**
 * @param {string} text
 * @param {string} what `Copy id`
 * @param {{ isWide?: boolean }} [options] wide: with the words, not the sign alone
 */
export function copyButton(text, what, { isWide = false } = {}) {
  const label = () => [icon('copy'), isWide ? what : null]
  const button = h(
    'button',
    { type: 'button', class: isWide ? 'button' : 'icon-button', 'aria-label': what, title: what },
    label(),
  )
  button.addEventListener('click', () => {
    void copy(text, button).then((isCopied) => {
      announce(isCopied ? 'Copied' : 'It could not be copied. Select the text instead.')
      replace(
        button,
        icon(isCopied ? 'check' : 'cross'),
        isWide ? (isCopied ? 'Copied' : 'Not copied') : null,
      )
      setTimeout(() => replace(button, label()), SAYS_SO_FOR_MS)
    })
  })
  return button
}

/**
 * An id as it is read: short, the whole on hover, and to be copied.
 * @param {string} id
 * @param {string} [what]
 */
export function copyableId(id, what = 'Copy id') {
  return h('span', { class: 'id' }, h('code', { title: id }, id), copyButton(id, what))
}

/**
 * @param {string} text
 * @param {Element} near
 */
async function copy(text, near) {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    return copyBySelection(text, near)
  }
}

/** Browsers have the clipboard on https and localhost alone. @param {string} text @param {Element} near */
function copyBySelection(text, near) {
  const field = h('textarea', { class: 'visually-hidden', readonly: true, value: text })
  const host = near.closest('dialog') ?? document.body
  host.append(field)
  field.select()
  const isCopied = document.execCommand('copy')
  field.remove()
  if (near instanceof HTMLElement) near.focus()
  return isCopied
}
