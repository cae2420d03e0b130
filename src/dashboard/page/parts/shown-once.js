/** Something that cannot be read again, with a button to copy it. */
import { h } from '../dom.js'
import { copyButton } from './copy.js'
import { button } from './dialog.js'

/**
 * @param {string} name
 * @param {string} value
 * @param {string} text
 * @param {() => void} close
 */
export function shownOnce(name, value, text, close) {
  return [
    h('p', { class: 'note' }, text),
    h('p', { class: 'once' }, h('code', { tabindex: '0', role: 'group', 'aria-label': name }, value)),
    h(
      'footer',
      { class: 'dialog-foot' },
      copyButton(value, `Copy ${name.toLowerCase()}`, { isWide: true }),
      button('Done', 'button primary', close),
    ),
  ]
}
