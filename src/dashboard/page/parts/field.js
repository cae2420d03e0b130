/** Form fields with their label, hint and fault, and what a form does with the server's refusal. */
import { Problem } from '../api.js'
import { h, replace, uniqueId } from '../dom.js'
import { failureText } from './toast.js'

/** @import { Attributes, Child } from '../dom.js' */
/** @typedef {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} Control */
/** @typedef {{ readonly node: HTMLElement, readonly control: Control, readonly name: string, say: (fault: string | null) => void }} Field */

/**
 * @param {{ label: string, name: string, hint?: Child, control: Control }} options
 * @returns {Field}
 */
export function field({ label, name, hint, control }) {
  const id = uniqueId('field')
  control.id = id
  control.name = name
  const fault = h('p', { class: 'fault', id: `${id}-fault`, hidden: true })
  const hintNode = hint === undefined ? null : h('p', { class: 'hint', id: `${id}-hint` }, hint)
  const describedBy = [hintNode === null ? null : `${id}-hint`, `${id}-fault`].filter((x) => x !== null)
  control.setAttribute('aria-describedby', describedBy.join(' '))
  const isCheckbox = control instanceof HTMLInputElement && control.type === 'checkbox'
  const labelNode = h('label', { for: id }, label)
  return {
    name,
    control,
    node: h(
      'div',
      { class: isCheckbox ? 'field check' : 'field' },
      isCheckbox ? [control, labelNode] : [labelNode, control],
      hintNode,
      fault,
    ),
    say(text) {
      replace(fault, text)
      fault.hidden = text === null
      if (text === null) control.removeAttribute('aria-invalid')
      else control.setAttribute('aria-invalid', 'true')
    },
  }
}

/** @param {Attributes} [attributes] */
export function textInput(attributes = {}) {
  return h('input', { type: 'text', autocomplete: 'off', spellcheck: 'false', ...attributes })
}

/**
 * @param {readonly (readonly [string, string])[]} options value and text
 * @param {string} value
 */
export function select(options, value) {
  const control = h(
    'select',
    {},
    options.map(([option, text]) => h('option', { value: option, selected: option === value }, text)),
  )
  control.value = value
  return control
}

/**
 * A form that is sent once at a time. What the server refuses stands at the field it is about, and that field gets the focus.
 * @param {{ fields: readonly Field[], body: Child, verb: string, onCancel?: () => void, submit: () => Promise<unknown> }} options
 */
export function form({ fields, body, verb, onCancel, submit }) {
  const fault = h('div', { role: 'alert' })
  const act = h('button', { type: 'submit', class: 'button primary' }, verb)
  const node = h(
    'form',
    { class: 'form', novalidate: true },
    body,
    fault,
    h(
      'footer',
      { class: 'form-foot' },
      onCancel === undefined
        ? null
        : h('button', { type: 'button', class: 'button', onclick: onCancel }, 'Cancel'),
      act,
    ),
  )
  node.addEventListener('submit', (event) => {
    event.preventDefault()
    if (act.getAttribute('aria-disabled') === 'true') return
    act.setAttribute('aria-disabled', 'true')
    for (const each of fields) each.say(null)
    replace(fault)
    void Promise.resolve()
      .then(submit)
      .catch((error) => showRefusal(error, fields, fault))
      .finally(() => act.removeAttribute('aria-disabled'))
  })
  return node
}

/** Something that a person typed and that cannot be sent as it is. */
export class FieldFault extends Error {
  /** @param {string} field @param {string} text */
  constructor(field, text) {
    super(text)
    this.field = field
  }
}

/**
 * @param {unknown} error
 * @param {readonly Field[]} fields
 * @param {Element} elsewhere
 */
function showRefusal(error, fields, elsewhere) {
  const faults =
    error instanceof FieldFault
      ? [{ field: error.field, detail: error.message }]
      : error instanceof Problem
        ? error.errors
        : []
  /** @type {Field | undefined} */
  let first
  const homeless = []
  for (const { field: path, detail } of faults) {
    const found = fields.find(
      ({ name }) => path === name || path.startsWith(`${name}.`) || path.startsWith(`${name}[`),
    )
    if (found === undefined) homeless.push(`${path}: ${detail}`)
    else {
      found.say(detail)
      first ??= found
    }
  }
  if (first === undefined) replace(elsewhere, h('p', { class: 'fault' }, failureText(error)))
  else if (homeless.length > 0) replace(elsewhere, h('p', { class: 'fault' }, homeless.join(' · ')))
  first?.control.focus()
}
