/** States as a word with a sign of its own: nothing is told by colour alone. */
import { h } from '../dom.js'
import { icon } from './icon.js'

/** @import { IconName } from './icon.js' */
/** @typedef {'good' | 'bad' | 'busy' | 'warn' | 'quiet'} Tone */

const STATES = /** @type {Readonly<Record<string, readonly [Tone, IconName, string]>>} */ ({
  delivered: ['good', 'check', 'Delivered'],
  pending: ['busy', 'clock', 'Pending'],
  dead: ['bad', 'cross', 'Dead'],
  cancelled: ['quiet', 'minus', 'Cancelled'],
  active: ['good', 'check', 'Active'],
  paused: ['quiet', 'pause', 'Paused'],
  disabled: ['bad', 'blocked', 'Disabled'],
  failing: ['warn', 'warning', 'Failing'],
  reserved: ['good', 'check', 'Reserved'],
  extended: ['warn', 'warning', 'Extended'],
  unreserved: ['bad', 'warning', 'Unreserved'],
  lost: ['bad', 'cross', 'Lost'],
  missing: ['bad', 'cross', 'Missing'],
})

/**
 * @param {string} state
 * @param {string} [text] in place of the state's own word
 */
export function stateBadge(state, text) {
  const [tone, sign, word] = STATES[state] ?? ['quiet', 'minus', state]
  return badge(tone, text ?? word, sign)
}

/**
 * @param {Tone} tone
 * @param {string} text
 * @param {IconName} [sign]
 */
export function badge(tone, text, sign) {
  return h('span', { class: `badge tone-${tone}` }, sign === undefined ? null : icon(sign), text)
}

/** An event type, a pattern or a tenant. @param {string} text @param {string} [title] */
export function tag(text, title) {
  return h('span', { class: 'tag', title }, text)
}
