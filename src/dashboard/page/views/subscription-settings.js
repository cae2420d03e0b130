/** What a subscription is set to, in words; what is as usual is left out. */
import { h } from '../dom.js'
import { copyableId } from '../parts/copy.js'
import { card, facts } from '../parts/layout.js'
import { tag } from '../parts/badge.js'
import { time } from '../parts/time.js'

/** @import { Subscription } from '../shapes.ts' */
/** @import { Child } from '../dom.js' */

/** @param {Subscription} s */
export function subscriptionSettings(s) {
  return [
    card(
      'What it gets',
      facts([
        [
          'Event types',
          h(
            'span',
            { class: 'tags' },
            s.event_types.map((type) => tag(type)),
          ),
        ],
        ['Filter', s.filter === null ? h('span', { class: 'faint' }, 'none') : h('code', {}, s.filter)],
        ['Tenant', s.tenant === null ? h('span', { class: 'faint' }, 'all') : tag(s.tenant)],
        [
          'Order',
          s.ordering === 'key'
            ? `by key; a dead delivery ${s.on_dead === 'block' ? 'holds its key' : 'is passed over'}`
            : 'as it comes',
        ],
        ['Time to live', s.ttl],
      ]),
    ),
    card(
      'How it is sent',
      facts([
        ['Request', `${s.method}, ${s.body}`],
        ['Timeout', s.timeout],
        ['Retries', retries(s)],
        ['Rate limit', s.rate_limit],
        ['In flight', s.max_in_flight === null ? null : `at most ${s.max_in_flight}`],
        ['Batches', batch(s.batch)],
        ['Consent', s.handshake ? 'asked first' : null],
        ['Headers', headers(s)],
        ['Forwarded', s.forward_headers.length === 0 ? null : s.forward_headers.join(', ')],
        ['Disabled after', `failing for ${s.disable_after}`],
      ]),
    ),
    card(
      'How it is trusted',
      facts([
        ['Signature', s.signature.join(', ')],
        ['Secret', s.secret_preview === '' ? 'not shown' : h('code', {}, s.secret_preview)],
        [
          'Old secret',
          s.previous_secret_until === null ? null : ['signs too, until ', time(s.previous_secret_until)],
        ],
        [
          'Public key',
          s.ed25519_public_key === null ? null : copyableId(s.ed25519_public_key, 'Copy public key'),
        ],
        ['Signature header', s.signature_header],
        ['Header prefix', s.header_prefix],
        ['Credentials', s.has_auth ? 'sent' : null],
        ['Certificates', s.has_tls ? 'of its own' : null],
        ['Created', time(s.created_at)],
        ['Changed', time(s.updated_at)],
      ]),
    ),
  ]
}

/** @param {Subscription} subscription @returns {Child} */
function retries({ retry_schedule: schedule, retry_on: on }) {
  const delays = schedule.length === 0 ? 'none' : schedule.join(', ')
  return on === 'transient' ? `${delays}; of transient failures alone` : delays
}

/** @param {Subscription['batch']} batch */
function batch(batch) {
  if (batch === null) return null
  const { max_events: events, max_wait: wait } = batch
  return [events === undefined ? null : `up to ${events} events`, wait === undefined ? null : `after ${wait}`]
    .filter((part) => part !== null)
    .join(', ')
}

/** @param {Subscription} subscription @returns {Child} */
function headers({ headers: own }) {
  const entries = Object.entries(own)
  if (entries.length === 0) return null
  return h(
    'ul',
    { class: 'plain' },
    entries.map(([name, value]) => h('li', {}, h('code', {}, `${name}: ${value}`))),
  )
}
