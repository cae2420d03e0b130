/** The filters of a list: what is chosen stands in the address at once. */
import { h, uniqueId } from '../dom.js'
import { changeQuery } from '../router.js'
import { icon } from './icon.js'
import { select } from './field.js'

/** @typedef {readonly (readonly [string, string])[]} Options value and text */
/**
 * @typedef {object} Filter
 * @property {string} name  of the parameter
 * @property {string} label
 * @property {Options | (() => Promise<Options>)} [options]  a choice; without, a text
 * @property {boolean} [isTime]
 * @property {string} [placeholder]
 * @property {boolean} [isSearch]  what `/` goes to
 * @property {boolean} [isRare]  folded away until it is wanted
 */
/** @typedef {{ node: HTMLElement, show: (value: string) => void }} Shown */

const TYPED_FOR_MS = 300

/**
 * @param {readonly Filter[]} filters
 * @param {URLSearchParams} query
 */
export function filterBar(filters, query) {
  const shown = filters.map((filter) => ({ filter, control: makeControl(filter) }))
  const clear = h(
    'button',
    {
      type: 'button',
      class: 'button quiet',
      onclick: () => changeQuery(Object.fromEntries(filters.map(({ name }) => [name, null]))),
    },
    'Clear filters',
  )
  const onQuery = (/** @type {URLSearchParams} */ now) => {
    for (const { filter, control } of shown) control.show(now.get(filter.name) ?? '')
    clear.hidden = !filters.some(({ name }) => now.has(name))
  }
  onQuery(query)
  const labelled = shown.map(({ filter, control }) => ({
    filter,
    node: h(
      'div',
      { class: filter.isSearch ? 'filter search' : 'filter' },
      h('label', { class: 'filter-label', for: identify(control.node) }, filter.label),
      filter.isSearch ? icon('search') : null,
      control.node,
    ),
  }))
  const of = (/** @type {boolean} */ isRare) =>
    labelled.filter(({ filter }) => (filter.isRare ?? false) === isRare).map(({ node }) => node)
  const rare = of(true)
  const isRareSet = filters.some(({ name, isRare }) => isRare && query.has(name))
  const node = h(
    'div',
    { class: 'filters', role: 'search', 'aria-label': 'Filters' },
    h('div', { class: 'filters-row' }, of(false), rare.length === 0 ? clear : null),
    rare.length === 0
      ? null
      : h(
          'details',
          { class: 'filters-more', open: isRareSet },
          h('summary', {}, 'More filters'),
          h('div', { class: 'filters-row' }, rare),
        ),
    rare.length === 0 ? null : clear,
  )
  return { node, onQuery }
}

/** @param {HTMLElement} control */
function identify(control) {
  control.id = uniqueId('filter')
  return control.id
}

/** @param {Filter} filter @returns {Shown} */
function makeControl({ name, options, placeholder, isSearch, isTime }) {
  if (options !== undefined) return makeChoice(name, options)
  const control = h('input', {
    type: isTime ? 'datetime-local' : 'text',
    placeholder,
    autocomplete: 'off',
    spellcheck: 'false',
    'data-search': isSearch ?? false,
  })
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer
  const apply = () => {
    clearTimeout(timer)
    changeQuery({ [name]: isTime ? instant(control.value) : control.value.trim() })
  }
  if (!isTime)
    control.addEventListener('input', () => {
      clearTimeout(timer)
      timer = setTimeout(apply, TYPED_FOR_MS)
    })
  control.addEventListener('change', apply)
  return {
    node: control,
    show: (value) => {
      // Not while it is being typed into: the address follows the field then.
      if (document.activeElement !== control) control.value = isTime ? wallClock(value) : value
    },
  }
}

/**
 * @param {string} name
 * @param {Options | (() => Promise<Options>)} options
 * @returns {Shown}
 */
function makeChoice(name, options) {
  const control = select(typeof options === 'function' ? [['', 'Any']] : options, '')
  control.addEventListener('change', () => changeQuery({ [name]: control.value }))
  let wanted = ''
  const show = (/** @type {string} */ value) => {
    wanted = value
    // What an address asks for, though it is not among the choices, is shown all the same.
    if (![...control.options].some((option) => option.value === value))
      control.append(h('option', { value }, value))
    control.value = value
  }
  if (typeof options === 'function')
    void options().then(
      (found) => {
        control.replaceChildren(
          ...[['', 'Any'], ...found].map(([value, text]) => h('option', { value }, text)),
        )
        show(wanted)
      },
      // The address can still say it.
      () => undefined,
    )
  return { node: control, show }
}

/** RFC 3339 of a time as the clock here shows it. @param {string} text */
function instant(text) {
  const at = new Date(text)
  return Number.isNaN(at.getTime()) ? '' : at.toISOString().replace('.000Z', 'Z')
}

/** @param {string} iso */
function wallClock(iso) {
  const at = new Date(iso)
  if (iso === '' || Number.isNaN(at.getTime())) return ''
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
}
