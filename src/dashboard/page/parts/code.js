/** JSON, answers of endpoints and commands, as they are. */
import { readJson } from '../api.js'
import { h } from '../dom.js'
import { size } from '../format.js'
import { copyButton } from './copy.js'

/** Beyond it colours cost more than they tell. */
const COLOURED_UP_TO = 20_000
const TOKEN =
  /(?<key>"(?:[^"\\]|\\.)*")(?=\s*:)|(?<text>"(?:[^"\\]|\\.)*")|(?<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?<word>true|false|null)/g

/**
 * @param {unknown} value
 * @param {string} label
 */
export function jsonBlock(value, label) {
  const text = JSON.stringify(value, null, 2) ?? ''
  return block(text, label, text.length <= COLOURED_UP_TO ? coloured(text) : text)
}

/**
 * What an endpoint answered: JSON is laid out, anything else stands as it came.
 * @param {string} text
 * @param {string} label
 */
export function answerBlock(text, label) {
  if (!/^\s*[[{]/.test(text) || text.length > COLOURED_UP_TO) return textBlock(text, label)
  try {
    return block(text, label, coloured(JSON.stringify(readJson(text), null, 2)))
  } catch {
    return textBlock(text, label)
  }
}

/**
 * @param {string} text
 * @param {string} label
 */
export function textBlock(text, label) {
  return block(text, label, text)
}

/**
 * @param {string} text
 * @param {string} label
 * @param {import('../dom.js').Child} shown
 */
function block(text, label, shown) {
  return h(
    'figure',
    { class: 'code' },
    h(
      'figcaption',
      {},
      h('span', {}, label),
      h('span', { class: 'faint' }, size(new TextEncoder().encode(text).length)),
      copyButton(text, `Copy ${label.toLowerCase()}`),
    ),
    // Scrollable with the keyboard.
    h('pre', { tabindex: '0', role: 'region', 'aria-label': label }, h('code', {}, shown)),
  )
}

/** @param {string} text */
function coloured(text) {
  /** @type {(Node | string)[]} */
  const parts = []
  let at = 0
  for (const match of text.matchAll(TOKEN)) {
    parts.push(text.slice(at, match.index))
    const kind = Object.entries(match.groups ?? {}).find(([, found]) => found !== undefined)?.[0]
    parts.push(h('span', { class: `json-${kind}` }, match[0]))
    at = match.index + match[0].length
  }
  parts.push(text.slice(at))
  return parts
}
