/**
 * Counts over time as stacked bars: what went well below, what failed on top. Drawn by hand in SVG; the figures are there as a
 * table too, for those who cannot see it or want the numbers.
 */
import { h, replace, svg } from '../dom.js'
import { axisTime, count, exact } from '../format.js'

/** @typedef {{ readonly at: string, readonly good: number, readonly bad: number }} Bar */

const HEIGHT = 100
const STEP = 10
const GAP = 2
/** How many times are named below. */
const TICKS = 5

/**
 * @param {{ label: string, bars: readonly Bar[], goodName: string, badName: string }} options
 */
export function barChart({ label, bars, goodName, badName }) {
  const top = niceTop(Math.max(0, ...bars.map(({ good, bad }) => good + bad)))
  const spanMs = bars.length < 2 ? 0 : Date.parse(bars.at(-1)?.at ?? '') - Date.parse(bars[0]?.at ?? '')
  const tip = h('div', { class: 'chart-tip', hidden: true })
  const plot = h('div', { class: 'chart-plot' }, drawing(bars, top, label), tip)
  if (bars.every(({ good, bad }) => good + bad === 0))
    plot.append(h('p', { class: 'chart-none' }, 'Nothing in this period'))
  plot.addEventListener('pointermove', (event) => showTip(event, plot, tip, bars, { goodName, badName }))
  plot.addEventListener('pointerleave', () => (tip.hidden = true))
  return h(
    'figure',
    { class: 'chart' },
    h(
      'div',
      { class: 'chart-frame' },
      h(
        'div',
        { class: 'chart-scale', 'aria-hidden': 'true' },
        [top, top / 2, 0].map((value) => h('span', {}, count(value))),
      ),
      plot,
    ),
    h(
      'div',
      { class: 'chart-times', 'aria-hidden': 'true' },
      ticks(bars).map(({ at }) => h('span', {}, axisTime(at, spanMs))),
    ),
    h(
      'figcaption',
      { class: 'chart-key' },
      h('span', { class: 'key-good' }, goodName),
      h('span', { class: 'key-bad' }, badName),
      figures(bars, label, goodName, badName),
    ),
  )
}

/** @param {readonly Bar[]} bars @param {number} top @param {string} label */
function drawing(bars, top, label) {
  const width = Math.max(bars.length, 1) * STEP
  const scaled = (/** @type {number} */ value) => (top === 0 ? 0 : (value / top) * HEIGHT)
  return svg(
    'svg',
    {
      viewBox: `0 0 ${width} ${HEIGHT}`,
      preserveAspectRatio: 'none',
      role: 'img',
      'aria-label': label,
    },
    [0, 0.5, 1].map((share) =>
      svg('line', { class: 'chart-line', x1: 0, x2: width, y1: share * HEIGHT, y2: share * HEIGHT }),
    ),
    bars.map(({ good, bad }, i) => {
      const x = i * STEP + GAP / 2
      const [goodHeight, badHeight] = [scaled(good), scaled(bad)]
      const sized = (/** @type {number} */ y, /** @type {number} */ height, /** @type {string} */ name) =>
        height === 0 ? null : svg('rect', { class: name, x, y, width: STEP - GAP, height })
      return [
        sized(HEIGHT - goodHeight, goodHeight, 'bar-good'),
        sized(HEIGHT - goodHeight - badHeight, badHeight, 'bar-bad'),
      ]
    }),
  )
}

/**
 * @param {PointerEvent} event
 * @param {Element} plot
 * @param {HTMLElement} tip
 * @param {readonly Bar[]} bars
 * @param {{ goodName: string, badName: string }} names
 */
function showTip(event, plot, tip, bars, { goodName, badName }) {
  const { left, width } = plot.getBoundingClientRect()
  const share = (event.clientX - left) / width
  const at = Math.min(bars.length - 1, Math.max(0, Math.floor(share * bars.length)))
  const bar = bars[at]
  tip.hidden = bar === undefined
  if (bar === undefined) return
  replace(
    tip,
    h('strong', {}, exact(bar.at).split(' · ')[0]),
    h('span', { class: 'key-good' }, `${goodName} ${count(bar.good)}`),
    h('span', { class: 'key-bad' }, `${badName} ${count(bar.bad)}`),
  )
  tip.style.setProperty('--at', String((at + 0.5) / bars.length))
  tip.classList.toggle('to-left', share > 0.5)
}

/**
 * @param {readonly Bar[]} bars
 * @returns {readonly Bar[]}
 */
function ticks(bars) {
  if (bars.length <= TICKS) return bars
  return Array.from(
    { length: TICKS },
    (_, i) => bars[Math.round((i * (bars.length - 1)) / (TICKS - 1))],
  ).filter((bar) => bar !== undefined)
}

/** The next round number, half of which is whole. @param {number} most */
export function niceTop(most) {
  if (most <= 2) return 2
  const power = 10 ** Math.floor(Math.log10(most))
  const steps = power === 1 ? [2, 4, 6, 8, 10] : [1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10]
  const step = steps.find((each) => each * power >= most) ?? 10
  return step * power
}

/** @param {readonly Bar[]} bars @param {string} label @param {string} goodName @param {string} badName */
function figures(bars, label, goodName, badName) {
  return h(
    'details',
    { class: 'chart-figures' },
    h('summary', {}, 'Figures'),
    h(
      'div',
      { class: 'chart-figures-scroll', tabindex: '0', role: 'region', 'aria-label': `${label}, figures` },
      h(
        'table',
        {},
        h(
          'thead',
          {},
          h(
            'tr',
            {},
            ['From', goodName, badName].map((name) => h('th', { scope: 'col' }, name)),
          ),
        ),
        h(
          'tbody',
          {},
          bars.map(({ at, good, bad }) =>
            h(
              'tr',
              {},
              h('th', { scope: 'row' }, exact(at).split(' · ')[0]),
              h('td', {}, count(good)),
              h('td', {}, count(bad)),
            ),
          ),
        ),
      ),
    ),
  )
}
