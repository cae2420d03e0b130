/** The slot, how long it lasts, and which process streams it. */
import { get } from '../api.js'
import { h, replace } from '../dom.js'
import { duration, size } from '../format.js'
import { badge, stateBadge } from '../parts/badge.js'
import { card, facts } from '../parts/layout.js'
import { region } from '../parts/region.js'
import { time } from '../parts/time.js'

/** @import { Page, Replica, Slot } from '../shapes.ts' */

/** @param {AbortSignal} signal */
export function replicationCard(signal) {
  const slot = region({
    label: 'Replication slot',
    signal,
    hints: ['slot'],
    everyMs: 10_000,
    lines: 4,
    load: () => /** @type {Promise<Slot>} */ (get('/v1/slot', { signal })),
    show: (found, node) => replace(node, slotFacts(found)),
  })
  const replicas = region({
    label: 'Replicas',
    signal,
    hints: ['slot'],
    everyMs: 10_000,
    lines: 2,
    load: () => /** @type {Promise<Pick<Page<Replica>, 'data'>>} */ (get('/v1/replicas', { signal })),
    show: ({ data }, node) =>
      replace(
        node,
        h('h3', { class: 'sub' }, 'Replicas'),
        h('ul', { class: 'replicas' }, data.map(replicaEntry)),
      ),
  })
  return card('Replication', [slot.node, replicas.node])
}

/** @param {Slot} slot */
function slotFacts(slot) {
  const { slot_name: name, state, plugin, active, streamed_by_host: host, cause } = slot
  const left = slot.seconds_until_lost
  return [
    facts([
      ['Slot', h('span', {}, h('code', {}, name), ' ', stateBadge(state))],
      [
        'Read by',
        active
          ? h('span', {}, badge('good', 'Streaming', 'check'), host === null ? null : ` ${host}`)
          : badge('bad', 'Nobody', 'warning'),
      ],
      ['Plugin', plugin],
      ['Not confirmed', size(slot.unconfirmed_wal_bytes)],
      ['Kept for it', size(slot.retained_wal_bytes)],
      [
        'Time to loss',
        left !== null
          ? duration(left * 1000)
          : slot.safe_wal_bytes === null
            ? 'the server sets no limit'
            : [`${size(slot.safe_wal_bytes)} left, `, 'not shrinking'],
      ],
    ]),
    cause === null || cause === undefined ? null : h('p', { class: 'note bad' }, cause),
  ]
}

/** @param {Replica} replica */
function replicaEntry({
  id,
  host,
  version,
  role,
  streams,
  is_gone: isGone,
  started_at: started,
  seen_at: seen,
}) {
  return h(
    'li',
    {},
    h('b', { title: id }, host),
    h('span', { class: 'faint' }, `v${version}`),
    isGone
      ? badge('bad', 'Gone', 'cross')
      : streams
        ? badge('good', 'Streams', 'check')
        : badge('quiet', role.charAt(0).toUpperCase() + role.slice(1), 'clock'),
    h('span', { class: 'spring' }),
    h('span', { class: 'faint' }, isGone ? ['last seen ', time(seen)] : ['started ', time(started)]),
  )
}
