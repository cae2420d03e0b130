/** The fields of something that is made or changed, and what a person changed in them. */
import { field, select, textInput } from './field.js'

/** @import { Child } from '../dom.js' */
/** @import { Control, Field } from './field.js' */

export class FieldSet {
  /** @type {{ field: Field, read: () => unknown, before: unknown }[]} */
  #entries = []

  get all() {
    return this.#entries.map(({ field: each }) => each)
  }

  /**
   * @param {string} name
   * @param {string} label
   * @param {Control} control
   * @param {() => unknown} read
   * @param {Child} [hint]
   */
  add(name, label, control, read, hint) {
    const made = field({ label, name, control, ...(hint === undefined ? {} : { hint }) })
    this.#entries.push({ field: made, read, before: read() })
    return made.node
  }

  /**
   * Null where it is empty.
   * @param {string} name
   * @param {string} label
   * @param {string | null | undefined} value
   * @param {string} placeholder
   * @param {Child} hint
   */
  text(name, label, value, placeholder, hint) {
    const control = textInput({ value: value ?? '', placeholder })
    return this.add(name, label, control, () => orNull(control.value), hint)
  }

  /**
   * @param {string} name
   * @param {string} label
   * @param {readonly string[] | null | undefined} value
   * @param {string} placeholder
   * @param {Child} hint
   */
  words(name, label, value, placeholder, hint) {
    const control = textInput({ value: (value ?? []).join(' '), placeholder })
    return this.add(name, label, control, () => words(control.value), hint)
  }

  /**
   * @param {string} name
   * @param {string} label
   * @param {readonly (readonly [string, string])[]} options
   * @param {string} value
   * @param {Child} [hint]
   */
  choice(name, label, options, value, hint) {
    const control = select(options, value)
    return this.add(name, label, control, () => control.value, hint)
  }

  /**
   * What differs from what was there; `owed` is said whatever it is.
   * @param {readonly string[]} [owed]
   * @returns {Record<string, unknown>}
   */
  changed(owed = []) {
    return Object.fromEntries(
      this.#entries.flatMap(({ field: { name }, read, before }) => {
        const now = read()
        const isSame = JSON.stringify(now) === JSON.stringify(before)
        return isSame && !owed.includes(name) ? [] : [[name, now]]
      }),
    )
  }
}

/** @param {string} text */
export function words(text) {
  return text.split(/[\s,]+/).filter((word) => word !== '')
}

/** @param {string} text */
export function orNull(text) {
  return text.trim() === '' ? null : text.trim()
}
