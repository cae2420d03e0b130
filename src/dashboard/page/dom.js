/**
 * Makes every element of the page. Whatever is a child becomes a text node, so that what others chose (URLs, payloads,
 * answers of endpoints) is text; no markup is ever parsed, and no link leads out of the page.
 */
import { visible } from './untrusted-text.js'

/** @typedef {Node | string | number | null | undefined | false} Leaf */
/** @typedef {Leaf | readonly Leaf[] | readonly (Leaf | readonly Leaf[])[]} Child */
/** @typedef {string | number | boolean | null | undefined | ((event: any) => unknown)} AttributeValue */
/** @typedef {Readonly<Record<string, AttributeValue>>} Attributes */

const SVG = 'http://www.w3.org/2000/svg'

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Attributes} [attributes] `onclick` and the like take functions; true is an empty attribute; false, null and undefined none
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  setAttributes(element, attributes)
  append(element, children)
  return element
}

/**
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag
 * @param {Attributes} [attributes]
 * @param {...Child} children
 * @returns {SVGElementTagNameMap[K]}
 */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag)
  setAttributes(element, attributes)
  append(element, children)
  return element
}

/**
 * @param {Element} element
 * @param {Attributes} attributes
 */
function setAttributes(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue
    if (typeof value === 'function') {
      if (!name.startsWith('on')) throw new TypeError(`${name} takes no function`)
      element.addEventListener(name.slice(2), value)
    } else if (name === 'value' && 'value' in element) element.value = String(value)
    else {
      if (name === 'href' && !/^(?:\/(?!\/)|#|blob:)/.test(String(value)))
        throw new TypeError('links stay on the page')
      if (name.startsWith('on') || name === 'style' || name === 'srcdoc')
        throw new TypeError(`${name} is not set from text`)
      element.setAttribute(name, value === true ? '' : String(value))
    }
  }
}

/**
 * @param {Node} parent
 * @param {readonly Child[]} children
 */
function append(parent, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue
    if (child instanceof Node) parent.appendChild(child)
    else if (typeof child === 'string' || typeof child === 'number')
      parent.appendChild(document.createTextNode(visible(String(child))))
    else append(parent, child)
  }
}

/**
 * @param {Element} parent
 * @param {...Child} children
 */
export function replace(parent, ...children) {
  const fragment = document.createDocumentFragment()
  append(fragment, children)
  parent.replaceChildren(fragment)
}

/** What each element that `sync` made was made of. @type {WeakMap<Element, { key: string, text: string }>} */
const made = new WeakMap()

/**
 * Makes `parent` show `items` in order, and leaves the elements of those that did not change alone: focus, selected text
 * and what is open survive. The focus goes to the successor of an element that is made anew.
 * @template T
 * @param {Element} parent
 * @param {readonly T[]} items
 * @param {{ key: (item: T) => string, render: (item: T) => Element, sameAs?: (item: T) => string }} how
 */
export function sync(parent, items, { key, render, sameAs = (item) => JSON.stringify(item) }) {
  const focused = focusWithin(parent)
  const before = new Map([...parent.children].map((child) => [made.get(child)?.key, child]))
  /** @type {Set<Element>} */
  const wanted = new Set()
  let place = parent.firstElementChild
  for (const item of items) {
    const id = key(item)
    const text = sameAs(item)
    const old = before.get(id)
    const element = old !== undefined && made.get(old)?.text === text ? old : render(item)
    made.set(element, { key: id, text })
    wanted.add(element)
    if (place === element) place = element.nextElementSibling
    else parent.insertBefore(element, place)
  }
  for (const child of Array.from(parent.children)) if (!wanted.has(child)) child.remove()
  focused?.()
}

/**
 * Remembers what has the focus in `parent`, by its `data-focus`; the function gives it back if it was lost.
 * @param {Element} parent
 * @returns {(() => void) | undefined}
 */
export function focusWithin(parent) {
  const active = document.activeElement
  if (!(active instanceof HTMLElement) || !parent.contains(active)) return undefined
  const name = active.dataset['focus'] ?? active.id
  return () => {
    if (active.isConnected || name === '') return
    const found = [...parent.querySelectorAll('[data-focus], [id]')].find(
      (element) => element instanceof HTMLElement && (element.dataset['focus'] ?? element.id) === name,
    )
    if (found instanceof HTMLElement) found.focus({ preventScroll: true })
  }
}

let lastId = 0

/** An id that no other element has. @param {string} [prefix] */
export function uniqueId(prefix = 'id') {
  return `${prefix}-${++lastId}`
}
