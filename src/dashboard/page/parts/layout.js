/** What views are put together from: their head, cards, lists of facts, figures. */
import { h } from '../dom.js'

/** @import { Child } from '../dom.js' */

/**
 * @param {{ title: Child, lead?: Child, actions?: Child, back?: { href: string, text: string } }} options
 */
export function viewHead({ title, lead, actions, back }) {
  return h(
    'header',
    { class: 'view-head' },
    back === undefined ? null : h('a', { class: 'back', href: back.href }, '‹ ', back.text),
    h(
      'div',
      { class: 'view-head-row' },
      h(
        'div',
        { class: 'view-title' },
        h('h1', {}, title),
        lead === undefined ? null : h('div', { class: 'lead' }, lead),
      ),
      actions === undefined ? null : h('div', { class: 'actions' }, actions),
    ),
  )
}

/**
 * @param {Child} title
 * @param {Child} body
 * @param {{ actions?: Child, className?: string }} [options]
 */
export function card(title, body, { actions, className } = {}) {
  return h(
    'section',
    { class: className === undefined ? 'card' : `card ${className}` },
    h(
      'header',
      { class: 'card-head' },
      h('h2', {}, title),
      actions === undefined ? null : h('div', { class: 'actions' }, actions),
    ),
    body,
  )
}

/**
 * Facts with their names; those that are undefined are left out.
 * @param {readonly (readonly [string, Child])[]} entries
 */
export function facts(entries) {
  return h(
    'dl',
    { class: 'facts' },
    entries
      .filter(([, value]) => value !== undefined && value !== null && value !== false)
      .map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))),
  )
}

/**
 * A number that somebody looks for.
 * @param {string} name
 * @param {Child} value
 * @param {Child} [detail]
 * @param {'bad' | 'warn'} [tone]
 */
export function figure(name, value, detail, tone) {
  return h(
    'div',
    { class: tone === undefined ? 'figure' : `figure tone-${tone}` },
    h('dt', {}, name),
    h(
      'dd',
      {},
      h('span', { class: 'figure-value' }, value),
      detail === undefined ? null : h('span', { class: 'figure-detail' }, detail),
    ),
  )
}

/**
 * A URL as people read it: the host stands out, and that it is https goes without saying.
 * @param {string | null} url
 */
export function endpointText(url) {
  if (url === null) return h('span', { class: 'faint' }, 'deleted subscription')
  const found = /^([a-z]+:\/\/)([^/?#]*)(.*)$/is.exec(url)
  if (found === null) return h('span', { class: 'url', title: url }, url)
  const [, scheme = '', host = '', rest = ''] = found
  return h(
    'span',
    { class: 'url', title: url },
    scheme.toLowerCase() === 'https://' ? null : h('span', { class: 'faint' }, scheme),
    h('b', {}, host),
    rest === '/' ? null : rest,
  )
}
