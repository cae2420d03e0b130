/** A run as a picture: of each thing measured, how many events came each second, and the latency or Walhook's memory. */
import type { Measurement } from '../figures/measurement.ts'
import type { Results } from '../results.ts'
import { spoken } from './wording.ts'

const PANEL = { width: 380, height: 150, left: 52, right: 48, top: 34, bottom: 24 }
const COLUMNS = 3

interface Line {
  readonly points: readonly (readonly [second: number, value: number])[]
  readonly color: string
}

/** A standalone SVG, readable on light and on dark. */
export function chart(results: Results): string {
  const panels = results.scenarios.flatMap(({ name, measurements }) =>
    (measurements.at(-1) ?? [])
      .filter(({ samples }) => samples.length > 3 && samples.some(({ walhookMiB }) => walhookMiB > 0))
      .map((measurement) => panel(`${name}: ${measurement.label}`, measurement)),
  )
  const rows = Math.ceil(panels.length / COLUMNS)
  const width = COLUMNS * PANEL.width
  const height = rows * PANEL.height + 28
  const placed = panels.map((content, index) => {
    const x = (index % COLUMNS) * PANEL.width
    const y = Math.floor(index / COLUMNS) * PANEL.height + 28
    return `<g transform="translate(${x} ${y})">${content}</g>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, sans-serif" font-size="10">
<style>svg { background: #fff; color: #222 } .axis { stroke: currentColor; stroke-opacity: 0.25 } text { fill: currentColor } @media (prefers-color-scheme: dark) { svg { background: #16181d; color: #ddd } }</style>
<text x="8" y="18" font-size="12">${escaped(`The last round of each, ${results.startedAt.slice(0, 10)}`)} · <tspan fill="#2f7ed8">events received a second (left)</tspan> · <tspan fill="#c2571a">p99 and p50 of commit to receipt, ms (right)</tspan> · <tspan fill="#7a52c7">where there is none: Walhook's memory, MiB (right)</tspan></text>
${placed.join('\n')}
</svg>
`
}

function panel(title: string, { samples, latencies }: Measurement): string {
  const rate: Line = {
    color: '#2f7ed8',
    points: samples.slice(1).map((sample, index) => {
      const before = samples[index] ?? sample
      return [sample.second, (sample.received - before.received) / (sample.second - before.second || 1)]
    }),
  }
  const right: Line[] =
    latencies.length > 0
      ? [
          { color: '#c2571a', points: latencies.map(({ second, p99 }) => [second, p99]) },
          { color: '#e0a070', points: latencies.map(({ second, p50 }) => [second, p50]) },
        ]
      : [{ color: '#7a52c7', points: samples.map(({ second, walhookMiB }) => [second, walhookMiB]) }]
  const seconds = samples.at(-1)?.second ?? 1
  const bottom = PANEL.height - PANEL.bottom
  const end = PANEL.width - PANEL.right
  return [
    `<text x="${PANEL.left}" y="${PANEL.top - 14}" font-weight="600">${escaped(title)}</text>`,
    `<line class="axis" x1="${PANEL.left}" y1="${bottom}" x2="${end}" y2="${bottom}"/>`,
    `<line class="axis" x1="${PANEL.left}" y1="${PANEL.top}" x2="${PANEL.left}" y2="${bottom}"/>`,
    `<text x="${end}" y="${bottom + 14}" text-anchor="end">${spoken(seconds)} s</text>`,
    drawn([rate], seconds, PANEL.left - 4, 'end'),
    drawn(right, seconds, end + 4, 'start'),
  ].join('')
}

/** Lines on one scale, from 0 to their highest value, which is written beside it. */
function drawn(lines: readonly Line[], seconds: number, labelX: number, anchor: 'start' | 'end'): string {
  const values = lines.flatMap(({ points }) => points.map(([, value]) => value)).filter(Number.isFinite)
  const most = values.reduce((a, b) => Math.max(a, b), 0)
  if (most === 0) return ''
  const x = (second: number): number =>
    PANEL.left + (second / seconds) * (PANEL.width - PANEL.left - PANEL.right)
  const y = (value: number): number =>
    PANEL.height - PANEL.bottom - (value / most) * (PANEL.height - PANEL.bottom - PANEL.top)
  const paths = lines.map(
    ({ points, color }) =>
      `<polyline fill="none" stroke="${color}" stroke-width="1.2" points="${points
        .filter(([, value]) => Number.isFinite(value))
        .map(([second, value]) => `${x(Math.min(second, seconds)).toFixed(1)},${y(value).toFixed(1)}`)
        .join(' ')}"/>`,
  )
  return `<text x="${labelX}" y="${PANEL.top + 4}" text-anchor="${anchor}">${spoken(most)}</text>${paths.join('')}`
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
