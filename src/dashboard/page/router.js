/**
 * From the address to a view, and back: what is filtered, and how, stands in the address, so that it can be sent to a colleague.
 *
 * A change of the query alone is told to the view that is shown; anything else leaves it (its signal aborts) and shows another.
 */
import { h, replace } from './dom.js'

/** @import { Me } from './shapes.ts' */
/**
 * @typedef {object} Context
 * @property {Readonly<Record<string, string>>} params  the named parts of the path
 * @property {URLSearchParams} query
 * @property {AbortSignal} signal  aborts when the view is left
 * @property {Me} me
 */
/**
 * @typedef {object} View
 * @property {string} title
 * @property {Element} node  holds one `h1`, which gets the focus
 * @property {((query: URLSearchParams) => void) | undefined} [onQuery]
 */
/** @typedef {{ path: string, view: (context: Context) => View }} Route */

const BASE = '/ui'

export class Router {
  /** @type {readonly Route[]} */
  #routes
  /** @type {Element} */
  #outlet
  /** @type {Me} */
  #me
  /** @type {(path: string, title: string) => void} */
  #onShown
  /** @type {{ path: string, view: View, leave: AbortController } | undefined} */
  #current

  /**
   * @param {{ routes: readonly Route[], outlet: Element, me: Me, onShown: (path: string, title: string) => void, signal: AbortSignal }} options
   */
  constructor({ routes, outlet, me, onShown, signal }) {
    this.#routes = routes
    this.#outlet = outlet
    this.#me = me
    this.#onShown = onShown
    window.addEventListener('popstate', () => this.#show(false), { signal })
    document.addEventListener('click', (event) => this.#followLink(event), { signal })
    window.addEventListener('walhook:go', () => this.#show(true), { signal })
    signal.addEventListener('abort', () => this.#current?.leave.abort())
  }

  start() {
    this.#show(false)
  }

  /** @param {boolean} isStep whether a person went there: then the focus follows */
  #show(isStep) {
    const url = new URL(location.href)
    const path = url.pathname.replace(/\/$/, '') || BASE
    if (this.#current?.path === path && this.#current.view.onQuery !== undefined) {
      this.#current.view.onQuery(url.searchParams)
      return
    }
    this.#current?.leave.abort()
    const leave = new AbortController()
    const { route, params } = this.#find(path)
    const view =
      route === undefined
        ? notFound()
        : route.view({ params, query: url.searchParams, signal: leave.signal, me: this.#me })
    this.#current = { path, view, leave }
    replace(this.#outlet, view.node)
    document.title = `${view.title} · Walhook`
    this.#onShown(path, view.title)
    if (!isStep) return
    window.scrollTo(0, 0)
    const heading = this.#outlet.querySelector('h1')
    heading?.setAttribute('tabindex', '-1')
    heading?.focus({ preventScroll: true })
  }

  /** @param {string} path */
  #find(path) {
    for (const route of this.#routes) {
      const params = match(`${BASE}${route.path}`, path)
      if (params !== undefined) return { route, params }
    }
    return { route: undefined, params: {} }
  }

  /** @param {MouseEvent} event */
  #followLink(event) {
    if (event.defaultPrevented || event.button !== 0) return
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
    const link = event.target instanceof Element ? event.target.closest('a[href]') : null
    if (!(link instanceof HTMLAnchorElement) || link.hasAttribute('download') || link.target !== '') return
    const { pathname, origin, hash } = new URL(link.href)
    if (origin !== location.origin || hash !== '' || !isOfThePage(pathname)) return
    event.preventDefault()
    go(link.href)
  }
}

/** @param {string} pathname */
function isOfThePage(pathname) {
  return pathname === BASE || pathname.startsWith(`${BASE}/`)
}

/**
 * Goes there as if a link had been followed.
 * @param {string} address
 */
export function go(address) {
  history.pushState(null, '', address)
  window.dispatchEvent(new Event('walhook:go'))
}

/**
 * Changes the query where one stands; what is empty is left out. Does not add to the history: a filter is typed letter by letter.
 * @param {Readonly<Record<string, string | null | undefined>>} changes
 */
export function changeQuery(changes) {
  const url = new URL(location.href)
  for (const [name, value] of Object.entries(changes))
    if (value) url.searchParams.set(name, value)
    else url.searchParams.delete(name)
  history.replaceState(null, '', url)
  window.dispatchEvent(new Event('walhook:go'))
}

/**
 * An address of the page: `link('/deliveries', { state: 'dead' })`.
 * @param {string} path
 * @param {Readonly<Record<string, string | null | undefined>>} [query]
 */
export function link(path, query = {}) {
  const search = new URLSearchParams(
    Object.entries(query).flatMap(([name, value]) => (value ? [[name, value]] : [])),
  ).toString()
  return `${BASE}${path}${search === '' ? '' : `?${search}`}`
}

/**
 * @param {string} pattern `/ui/deliveries/:id`
 * @param {string} path
 * @returns {Record<string, string> | undefined}
 */
function match(pattern, path) {
  const wanted = pattern.replace(/\/$/, '').split('/')
  const found = path.split('/')
  if (wanted.length !== found.length) return undefined
  /** @type {Record<string, string>} */
  const params = {}
  for (const [i, part] of wanted.entries()) {
    const text = found[i] ?? ''
    if (part.startsWith(':')) params[part.slice(1)] = decode(text)
    else if (part !== text) return undefined
  }
  return params
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** @returns {View} */
function notFound() {
  return {
    title: 'Not found',
    node: h(
      'div',
      { class: 'state' },
      h('h1', {}, 'There is no such page'),
      h('p', {}, 'The address may have been cut short.'),
      h('p', {}, h('a', { href: link('/'), class: 'button' }, 'To the overview')),
    ),
  }
}
