/** Tables of many rows, which become cards where there is no room for columns. */
import { h, sync } from '../dom.js'

/** @import { Child } from '../dom.js' */

/**
 * @template T
 * @typedef {object} Column
 * @property {string} label
 * @property {(item: T) => Child} cell
 * @property {'end'} [align]
 * @property {string} [width]  a class of the style sheet: `fit`, `grow`
 * @property {boolean} [isHeading]  the cell that names its row
 * @property {boolean} [isHiddenLabel]  the column's name is for screen readers alone
 */

/**
 * @template T
 * @param {{ caption: string, columns: readonly Column<T>[], key: (item: T) => string }} options
 */
export function table({ caption, columns, key }) {
  const body = h('tbody', { role: 'rowgroup' })
  // The roles are spelled out, since a table that is laid out as cards would lose them.
  const node = h(
    'table',
    { class: 'table', role: 'table' },
    h('caption', { class: 'visually-hidden' }, caption),
    h(
      'thead',
      { role: 'rowgroup' },
      h(
        'tr',
        { role: 'row' },
        columns.map(({ label, align, width, isHiddenLabel }) =>
          h(
            'th',
            { role: 'columnheader', scope: 'col', class: classes(align, width) },
            isHiddenLabel ? h('span', { class: 'visually-hidden' }, label) : label,
          ),
        ),
      ),
    ),
    body,
  )
  /** @param {T} item */
  const render = (item) =>
    h(
      'tr',
      { role: 'row' },
      columns.map(({ label, cell, align, width, isHeading, isHiddenLabel }) =>
        h(
          isHeading ? 'th' : 'td',
          {
            role: isHeading ? 'rowheader' : 'cell',
            scope: isHeading ? 'row' : null,
            class: classes(align, width),
            'data-label': isHiddenLabel ? null : label,
          },
          cell(item),
        ),
      ),
    )
  return { node, update: (/** @type {readonly T[]} */ items) => sync(body, items, { key, render }) }
}

/** @param {string | undefined} align @param {string | undefined} width */
function classes(align, width) {
  return [align, width].filter((name) => name !== undefined).join(' ') || null
}
