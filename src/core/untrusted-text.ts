/**
 * Text that others chose (an endpoint's answer, a server's message, a row of an altered table) as text that can only be
 * read: whatever prints it does not act on it. Invariant: every place that prints such text does so through here.
 *
 * The escapes are those of JSON, so that JSON stays JSON and means the same. What is recorded is not changed: a row
 * holds what came.
 */

/** Parts of scripts and of emoji, behind a character that can carry them. Anywhere else they only hide. */
const JOINER = String.raw`[\u200c\u200d\ufe00-\ufe0f]`
const CARRIER = String.raw`[[\p{L}\p{M}\p{S}]--[\p{ASCII}\p{Default_Ignorable_Code_Point}]]\ufe0f?`

/**
 * Control characters, C1 and the escape among them; line and paragraph separators; halves of surrogate pairs; and what
 * is not seen but changes what is: bidi controls, zero-width characters, byte order marks, tags.
 */
const CONTROL = String.raw`[[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\ufff9-\ufffb]--${JOINER}]`

const NOT_TO_PRINT = new RegExp(`${CONTROL}|(?<!${CARRIER})${JOINER}`, 'gv')

/** Nearly all text is this, and needs no closer look. */
const PLAIN = /^[\x20-\x7e]*$/

/** One line that neither a terminal nor a viewer of logs acts on. */
export function visible(text: string): string {
  return PLAIN.test(text) ? text : text.replace(NOT_TO_PRINT, escaped)
}

/** JSON on one line, of which the same holds. It parses to the same value. */
export function visibleJson(value: unknown): string {
  return visible(JSON.stringify(value))
}

/** JSON over several lines, for documents. */
export function visibleJsonDocument(value: unknown): string {
  return JSON.stringify(value, undefined, 2).split('\n').map(visible).join('\n')
}

/** Text of several lines, each of which is one. */
export function visibleLines(text: string): string {
  return text.split(/\r?\n/).map(visible).join('\n')
}

/** At most so many characters of a text, and how many there were. No character is cut in two. */
export function excerpt(text: string, most: number): string {
  if (text.length <= most) return text
  const end = isHighSurrogate(text.charCodeAt(most - 1)) ? most - 1 : most
  return `${text.slice(0, end)}… (${text.length} characters)`
}

function escaped(character: string): string {
  let escapes = ''
  for (let i = 0; i < character.length; i++)
    escapes += `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`
  return escapes
}

function isHighSurrogate(codeUnit: number): boolean {
  return codeUnit >= 0xd800 && codeUnit <= 0xdbff
}
