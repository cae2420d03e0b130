/**
 * The parts of documents that are a run's figures. Nobody types them: they stand between markers, are written by
 * `npm run bench:publish`, and a unit test finds out where they are not what the published run says.
 */
import { modelReports } from '../model/report.ts'
import { markdownReport } from '../report/table.ts'
import { rowsOf } from '../report/wording.ts'
import type { Results } from '../results.ts'
import { SCENARIOS } from '../scenarios/all.ts'

/** Every scenario on the embedded server; and the plugins on one that has both. */
export interface Published {
  readonly whole: Results
  readonly plugins: Results
}

/** By document, by the name of the block. */
export function blocks({
  whole,
  plugins,
}: Published): Readonly<Record<string, Readonly<Record<string, string>>>> {
  const model = modelReports(whole)
  return {
    'README.md': { figures: threeFigures(whole) },
    'docs/performance.md': {
      figures: markdownReport(whole, SCENARIOS),
      plugins: markdownReport(plugins, SCENARIOS),
    },
    'docs/scaling.md': { costs: model.costs, check: model.check, sites: model.sites },
  }
}

/** Throws where the document lacks a block, or has one that nobody writes. */
export function withBlocks(document: string, named: Readonly<Record<string, string>>): string {
  const marked = [...document.matchAll(/<!-- bench:(\w+) -->/g)].map(([, name]) => name)
  const missing = Object.keys(named).filter((name) => !marked.includes(name))
  const unknown = marked.filter((name) => name === undefined || !(name in named))
  if (missing.length > 0 || unknown.length > 0)
    throw new Error(
      `blocks that are missing: ${missing.join(', ')}; that nobody writes: ${unknown.join(', ')}`,
    )
  return document.replace(
    /(<!-- bench:(\w+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, begin: string, name: string, end: string) => `${begin}\n${named[name]?.trim() ?? ''}\n\n${end}`,
  )
}

/** What somebody asks first: how many, how soon, and whether one endpoint harms another. */
function threeFigures(results: Results): string {
  const wanted = [
    ['drain', ['deliveries', 'ofCeiling', 'ofFetch']],
    ['steady', ['p50At500', 'p99At500']],
    ['unfair', ['without', 'with', 'ratio']],
  ] as const
  return wanted
    .map(([name, figures]) => {
      const scenario = SCENARIOS.find((one) => one.name === name)
      const result = results.scenarios.find((one) => one.name === name)
      if (scenario === undefined || result === undefined) throw new Error(`the published run lacks ${name}`)
      const rows = rowsOf({ ...scenario, figures: picked(scenario.figures, figures) }, result)
      return `- ${scenario.shows}: ${rows.map(({ what, value }) => `${what} **${value}**`).join('; ')}.`
    })
    .join('\n')
}

function picked<Value>(
  from: Readonly<Record<string, Value>>,
  names: readonly string[],
): Record<string, Value> {
  return Object.fromEntries(Object.entries(from).filter(([name]) => names.includes(name)))
}
