/** The fields of a subscription. Rules are the server's: it says which field breaks one. */
import { h } from '../dom.js'
import { textInput } from '../parts/field.js'
import { FieldSet, orNull, words } from '../parts/field-set.js'
import { credentialsField } from './credentials-field.js'
import { batchOf, headerLines, headersOf, wholeNumber } from './subscription-options.js'

/** @import { Child } from '../dom.js' */
/** @import { Subscription } from '../shapes.ts' */

const METHODS = /** @type {const} */ ([
  ['POST', 'POST'],
  ['PUT', 'PUT'],
])
const BODIES = /** @type {const} */ ([
  ['envelope', 'envelope: id, type, timestamp and data'],
  ['payload', 'payload: its bytes alone'],
  ['cloudevents', 'cloudevents: structured'],
  ['cloudevents-binary', 'cloudevents-binary'],
  ['cloudevents-batch', 'cloudevents-batch'],
])
const RETRY_ON = /** @type {const} */ ([
  ['any', 'Any failure'],
  ['transient', 'Transient failures alone'],
])
const ORDERS = /** @type {const} */ ([
  ['none', 'As it comes'],
  ['key', 'By key, one at a time'],
])
const ON_DEAD = /** @type {const} */ ([
  ['block', 'Holds its key'],
  ['skip', 'Is passed over'],
])

/**
 * @param {{ subscription: Subscription | undefined, mayChooseTenant: boolean }} options
 */
export function subscriptionFields({ subscription, mayChooseTenant }) {
  const set = new FieldSet()
  const types = mono(2, 'order.* invoice.paid', (subscription?.event_types ?? ['*']).join(' '))
  const node = [
    endpointGroup(set, subscription, mayChooseTenant),
    contentGroup(set, subscription, types),
    sendingGroup(set, subscription),
    trustGroup(set, subscription),
  ]
  return {
    node,
    types,
    all: set.all,
    /** A new one says its URL and types whatever they are. */
    changed: () => set.changed(subscription === undefined ? ['url', 'event_types'] : []),
  }
}

/** @param {FieldSet} set @param {Subscription | undefined} s @param {boolean} mayChooseTenant */
function endpointGroup(set, s, mayChooseTenant) {
  const url = h('input', {
    type: 'url',
    value: s?.url ?? '',
    placeholder: 'https://example.com/webhooks',
    autocomplete: 'off',
    required: true,
  })
  return group('Endpoint', [
    set.add('url', 'URL', url, () => url.value.trim()),
    set.text('name', 'Name', s?.name, 'billing', 'What people call it. May be empty.'),
    set.text('description', 'Description', s?.description, 'What it is for', 'For people. May be empty.'),
    mayChooseTenant
      ? set.text(
          'tenant',
          'Tenant',
          s?.tenant,
          'All tenants',
          'With one, it gets that tenant’s events alone.',
        )
      : null,
  ])
}

/** @param {FieldSet} set @param {Subscription | undefined} s @param {HTMLTextAreaElement} types */
function contentGroup(set, s, types) {
  const filter = mono(2, '$.amount > 100', s?.filter ?? '')
  return group('What it gets', [
    set.add(
      'event_types',
      'Event types',
      types,
      () => words(types.value),
      'A type, a prefix like order.*, or * for all of them.',
    ),
    set.add(
      'filter',
      'Filter',
      filter,
      () => orNull(filter.value),
      'A SQL/JSON path predicate on the payload, like $.amount > 100. May be empty.',
    ),
  ])
}

/** @param {FieldSet} set @param {Subscription | undefined} s */
function sendingGroup(set, s) {
  const schedule = textInput({
    value: (s?.retry_schedule ?? []).join(' '),
    placeholder: '5s 5m 30m 2h 5h 10h 14h 20h 24h',
  })
  const inFlight = textInput({ value: s?.max_in_flight ?? '', inputmode: 'numeric', placeholder: '64' })
  const events = textInput({
    value: s?.batch?.max_events ?? '',
    inputmode: 'numeric',
    placeholder: 'One at a time',
  })
  const wait = textInput({ value: s?.batch?.max_wait ?? '', placeholder: '5s' })
  return folded('How it is sent', [
    set.choice('method', 'Method', METHODS, s?.method ?? 'POST'),
    set.choice('body', 'Body', BODIES, s?.body ?? 'envelope'),
    set.text('timeout', 'Timeout', s?.timeout, '15s', 'How long an attempt may take.'),
    set.add(
      'retry_schedule',
      'Retry schedule',
      schedule,
      () => (schedule.value.trim() === '' ? null : words(schedule.value)),
      'The delays between attempts. Empty: as Standard Webhooks has them.',
    ),
    set.choice(
      'retry_on',
      'Retry on',
      RETRY_ON,
      s?.retry_on ?? 'any',
      'Transient: network errors, 408, 425, 429 and 5xx.',
    ),
    set.text(
      'rate_limit',
      'Rate limit',
      s?.rate_limit,
      '10/s',
      'Requests in a second or a minute. Empty: none.',
    ),
    set.add(
      'max_in_flight',
      'In flight at most',
      inFlight,
      () => wholeNumber(inFlight.value, 'max_in_flight'),
      'Requests at one time.',
    ),
    set.choice('ordering', 'Order', ORDERS, s?.ordering ?? 'none'),
    set.choice('on_dead', 'A dead delivery', ON_DEAD, s?.on_dead ?? 'block', 'With order by key.'),
    h(
      'div',
      { class: 'pair' },
      set.add(
        'batch',
        'Events in a batch',
        events,
        () => batchOf(events.value, wait.value),
        'Empty: one at a time.',
      ),
      h('div', { class: 'field' }, h('label', {}, h('span', {}, 'Batch waits at most'), wait)),
    ),
    set.text(
      'ttl',
      'Time to live',
      s?.ttl,
      '7d',
      'An event that is older is not sent any more. Empty: for ever.',
    ),
    set.text(
      'disable_after',
      'Disabled after',
      s?.disable_after ?? '5d',
      '5d',
      'Failing without a success for so long.',
    ),
  ])
}

/** @param {FieldSet} set @param {Subscription | undefined} s */
function trustGroup(set, s) {
  const headers = mono(3, 'x-team: billing', headerLines(s?.headers ?? {}))
  const handshake = h('input', { type: 'checkbox', checked: s?.handshake ?? false })
  return folded('How it is trusted', [
    set.words(
      'signature',
      'Signature',
      s?.signature ?? ['standard'],
      'standard',
      'standard, standard-ed25519, github, stripe, hex: one or several; or none.',
    ),
    set.text(
      'signature_header',
      'Signature header',
      s?.signature_header,
      'X-Webhook-Signature',
      'Of a hex signature.',
    ),
    set.text(
      'header_prefix',
      'Header prefix',
      s?.header_prefix,
      'X-Acme-',
      'Begins the names of our headers in place of webhook- and walhook-.',
    ),
    set.add(
      'headers',
      'Headers of its own',
      headers,
      () => headersOf(headers.value),
      'One a line. A value shown as … stays what it is.',
    ),
    set.words(
      'forward_headers',
      'Forwarded headers',
      s?.forward_headers,
      'x-correlation-id',
      'Names in the event’s headers that are sent along.',
    ),
    credentialsField(set, s?.has_auth ?? false),
    set.add(
      'handshake',
      'The endpoint has to consent first',
      handshake,
      () => handshake.checked,
      'By the CloudEvents webhook handshake.',
    ),
  ])
}

/** @param {number} rows @param {string} placeholder @param {string} value */
function mono(rows, placeholder, value) {
  return h('textarea', { rows, class: 'mono', spellcheck: 'false', placeholder, value })
}

/** @param {string} title @param {Child} body */
function group(title, body) {
  return h('fieldset', { class: 'card group' }, h('legend', { class: 'group-title' }, title), body)
}

/** @param {string} title @param {Child} body */
function folded(title, body) {
  return h(
    'details',
    { class: 'card group' },
    h('summary', { class: 'group-title' }, title),
    h('div', { class: 'group-body' }, body),
  )
}
