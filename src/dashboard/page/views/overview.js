/** How it goes, at one look: what is delivered and what fails, how fast, what waits, and whether the log is read. */
import { get } from '../api.js'
import { h, replace } from '../dom.js'
import { count, duration, percent, shortCount } from '../format.js'
import { segments } from '../parts/segments.js'
import { card, figure, viewHead } from '../parts/layout.js'
import { region } from '../parts/region.js'
import { skeleton } from '../parts/states.js'
import { time } from '../parts/time.js'
import { changeQuery, link } from '../router.js'
import { isOperator } from '../session.js'
import { attentionCard } from './attention.js'
import { replicationCard } from './replication.js'
import { statsChart, WINDOWS, windowWords } from './stats-card.js'

/** @import { Context, View } from '../router.js' */
/** @import { Stats } from '../shapes.ts' */

/** @param {Context} context @returns {View} */
export function overviewView({ query, signal, me }) {
  let window = query.get('window') ?? '24h'
  const chart = h('div', {}, skeleton(5))
  const figures = region({
    label: 'Figures',
    signal,
    hints: ['stats'],
    everyMs: 15_000,
    lines: 3,
    load: () => /** @type {Promise<Stats>} */ (get('/v1/stats', { signal, query: { window } })),
    show: (stats, node) => {
      replace(node, tiles(stats, window))
      replace(chart, statsChart(stats, window))
    },
  })
  const chartCard = card('Attempts', chart)
  return {
    title: 'Overview',
    node: h(
      'div',
      {},
      viewHead({
        title: 'Overview',
        actions: segments({
          label: 'Period',
          name: 'window',
          options: WINDOWS,
          value: window,
          onChange: (chosen) => changeQuery({ window: chosen === '24h' ? null : chosen }),
        }),
      }),
      figures.node,
      chartCard,
      h(
        'div',
        { class: 'columns even' },
        attentionCard(signal),
        isOperator(me) ? replicationCard(signal) : null,
      ),
    ),
    onQuery(changed) {
      window = changed.get('window') ?? '24h'
      void figures.refresh()
    },
  }
}

/** @param {Stats} stats @param {string} window */
function tiles(stats, window) {
  const { backlog, counts } = stats
  const latency = stats.latency.delivered
  return h(
    'dl',
    { class: 'tiles' },
    figure('Delivered', shortCount(counts.delivered), `in ${windowWords(window)}`),
    figure(
      'Failed attempts',
      percent(stats.failure_rate),
      [
        `${count(counts.failed_attempts)} of ${count(counts.attempts)}`,
        counts.dead === 0
          ? null
          : [' · ', h('a', { href: link('/deliveries', { state: 'dead' }) }, `${count(counts.dead)} dead`)],
      ],
      counts.dead > 0 ? 'bad' : undefined,
    ),
    figure(
      'Commit to delivered',
      duration(latency.p50),
      `p95 ${duration(latency.p95)} · p99 ${duration(latency.p99)}`,
    ),
    figure(
      'Backlog',
      h('a', { href: link('/deliveries', { state: 'pending' }) }, shortCount(backlog.pending)),
      backlog.pending === 0
        ? 'nothing waits'
        : [
            'oldest ',
            time(backlog.oldest_at),
            backlog.drained_in === null ? ' · not draining' : ` · drained in ${duration(backlog.drained_in)}`,
          ],
      backlog.pending > 0 && backlog.drained_in === null ? 'warn' : undefined,
    ),
  )
}
