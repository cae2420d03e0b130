/**
 * Text that others chose, as text that can only be read: what is not seen but changes what is, is written out. The rule is that
 * of core/untrusted-text.ts, which a test holds it to; lines and tabs stay, since the page shows whole documents.
 */

/** Parts of scripts and of emoji, behind a character that can carry them. Anywhere else they only hide. */
const JOINER = String.raw`[\u200c\u200d\ufe00-\ufe0f]`
const CARRIER = String.raw`[[\p{L}\p{M}\p{S}]--[\p{ASCII}\p{Default_Ignorable_Code_Point}]]\ufe0f?`
const CONTROL = String.raw`[[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\ufff9-\ufffb]--[\n\t]--${JOINER}]`

const NOT_TO_SHOW = new RegExp(`${CONTROL}|(?<!${CARRIER})${JOINER}`, 'gv')

/** Nearly all text is this, and needs no closer look. */
const PLAIN = /^[\x20-\x7e\n\t]*$/

/**
 * `\u202e` for what a browser would act on.
 * @param {string} text
 */
export function visible(text) {
  return PLAIN.test(text) ? text : text.replace(NOT_TO_SHOW, escaped)
}

/** @param {string} char one code point */
function escaped(char) {
  return char
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('')
}
