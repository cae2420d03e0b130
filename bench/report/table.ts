/** The tables at a run's end: for a terminal, and in Markdown for the documentation. */
import Table from 'cli-table3'
import { PROCESSES } from '../figures/measurement.ts'
import type { Results } from '../results.ts'
import type { Scenario } from '../scenario.ts'
import { costRowsOf, rowsOf } from './wording.ts'

const COSTS_SAY =
  'CPU milliseconds and bytes of log a delivery, and memory at most (of Postgres what is not shared)'
const FIGURES = ['scenario', 'figure', 'median', 'spread', 'reach', '']
const COSTS = [
  'scenario',
  'of it',
  ...PROCESSES.map((name) => `${name}, ms`),
  'log, bytes',
  'Walhook, MiB',
  'Postgres, MiB',
]

export function terminalReport(results: Results, scenarios: readonly Scenario[]): string {
  return [
    ...heading(results),
    drawn(FIGURES, figureRows(results, scenarios)),
    COSTS_SAY,
    drawn(COSTS, costRows(results)),
  ].join('\n')
}

export function markdownReport(results: Results, scenarios: readonly Scenario[]): string {
  return [
    ...heading(results),
    '',
    ...markdownTable(FIGURES, figureRows(results, scenarios)),
    '',
    `${COSTS_SAY}:`,
    '',
    ...markdownTable(COSTS, costRows(results)),
    '',
  ].join('\n')
}

function heading({ startedAt, command, machine, postgres, plugin, scale, besideOthers }: Results): string[] {
  const warnings = [
    ...(scale === 1 ? [] : [`at ${scale} of the full size`]),
    ...(besideOthers ? ['on a machine that did other work too'] : []),
  ]
  return [
    `\`${command}\` on ${startedAt.slice(0, 10)}: ${machine.cores} cores (${machine.model}), ${machine.memoryGiB} GiB, Node ${machine.node}, ` +
      `Postgres ${postgres.version} (${postgres.description}), plugin ${plugin}${warnings.map((text) => `; ${text}`).join('')}.`,
  ]
}

function figureRows(results: Results, scenarios: readonly Scenario[]): string[][] {
  return results.scenarios.flatMap((result) => {
    const scenario = scenarios.find(({ name }) => name === result.name)
    if (scenario === undefined) return []
    if (result.noFigure !== undefined) return [[scenario.name, 'no figure', '', '', '', '']]
    return rowsOf(scenario, result).map((row, index) => [
      index === 0 ? scenario.name : '',
      row.what,
      row.value,
      row.spread,
      row.reach,
      row.isReached === undefined ? '' : row.isReached ? 'reached' : 'MISSED',
    ])
  })
}

function costRows(results: Results): string[][] {
  return results.scenarios.flatMap((result) =>
    costRowsOf(result).map(({ label, cpu, wal, walhookMiB, postgresMiB }, index) => [
      index === 0 ? result.name : '',
      label,
      ...cpu,
      wal,
      walhookMiB,
      postgresMiB,
    ]),
  )
}

function drawn(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const table = new Table({ head: [...head], style: { head: [], border: [] } })
  table.push(...rows.map((row) => [...row]))
  return table.toString()
}

export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)]
}
