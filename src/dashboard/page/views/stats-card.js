/** How deliveries went over an hour, a day or a week, of one subscription or of all. */
import { get } from '../api.js'
import { h, replace } from '../dom.js'
import { count, duration, percent } from '../format.js'
import { barChart } from '../parts/chart.js'
import { segments } from '../parts/segments.js'
import { card, figure } from '../parts/layout.js'
import { region } from '../parts/region.js'

/** @import { Stats } from '../shapes.ts' */

export const WINDOWS = /** @type {const} */ ([
  ['1h', '1 h'],
  ['24h', '24 h'],
  ['7d', '7 d'],
])

const WORDS = /** @type {Readonly<Record<string, string>>} */ ({
  '1h': 'the last hour',
  '24h': 'the last 24 hours',
  '7d': 'the last 7 days',
})

/** @param {string} window */
export function windowWords(window) {
  return WORDS[window] ?? window
}

/**
 * @param {{ path: string, signal: AbortSignal, title: string }} options
 */
export function statsCard({ path, signal, title }) {
  let window = '24h'
  const part = region({
    label: title,
    signal,
    hints: ['stats'],
    everyMs: 30_000,
    load: () => /** @type {Promise<Stats>} */ (get(path, { signal, query: { window } })),
    show: (stats, node) =>
      replace(
        node,
        h(
          'dl',
          { class: 'figures' },
          figure('Attempts', count(stats.counts.attempts)),
          figure('Failed', percent(stats.failure_rate), `${count(stats.counts.failed_attempts)} attempts`),
          figure(
            'Answered within',
            duration(stats.latency.attempt.p50),
            `p95 ${duration(stats.latency.attempt.p95)}`,
          ),
          figure(
            'Commit to delivered',
            duration(stats.latency.delivered.p50),
            `p95 ${duration(stats.latency.delivered.p95)}`,
          ),
        ),
        statsChart(stats, window),
      ),
  })
  return card(title, part.node, {
    actions: segments({
      label: 'Period',
      name: 'stats-window',
      options: WINDOWS,
      value: window,
      onChange: (chosen) => {
        window = chosen
        void part.refresh()
      },
    }),
  })
}

/**
 * @param {Stats} stats
 * @param {string} window
 */
export function statsChart({ series, counts: { attempts, failed_attempts: failed } }, window) {
  return barChart({
    label: `Attempts in ${windowWords(window)}: ${count(attempts - failed)} succeeded, ${count(failed)} failed`,
    bars: series.map((point) => ({
      at: point.at,
      good: point.attempts - point.failed_attempts,
      bad: point.failed_attempts,
    })),
    goodName: 'Succeeded',
    badName: 'Failed',
  })
}
