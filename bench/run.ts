/**
 * `npm run bench`: from COMMIT to a delivered, recorded webhook, by scenario, each figure beside what it is measured
 * against, from one run on one machine with real processes. `--help` says what there is.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import { orSayWhy } from './figures/no-figure.ts'
import { playAll } from './play.ts'
import { chart } from './report/chart.ts'
import { markdownReport, terminalReport } from './report/table.ts'
import { readResults, type Results, thisMachine } from './results.ts'
import type { Scenario } from './scenario.ts'
import { SCENARIOS } from './scenarios/all.ts'
import { openServer } from './stage/server.ts'

interface Options {
  readonly scenario?: string[]
  readonly plugin: 'auto' | 'pgoutput' | 'wal2json'
  readonly rounds?: number
  readonly scale: number
  readonly besideOthers: boolean
  readonly json: boolean
  readonly markdown: boolean
  readonly output: string
  readonly from?: string
}

const command = new Command('npm run bench --')
  .description(
    'Measures Walhook on an embedded Postgres, or on the server of DATABASE_URL, in databases of its own.',
  )
  .addOption(new Option('--scenario <name...>', 'only these').choices(SCENARIOS.map(({ name }) => name)))
  .addOption(
    new Option('--plugin <name>', 'how the log is decoded')
      .choices(['auto', 'pgoutput', 'wal2json'])
      .default('auto'),
  )
  .option('--rounds <count>', 'of each scenario; by default its own number', positive)
  .option('--scale <share>', 'of the events, seconds and subscriptions: 0.1 for a look', positive, 1)
  .option('--beside-others', 'give figures though other work uses the machine; they will say so', false)
  .option('--json', 'print the results as JSON', false)
  .option('--markdown', 'print the tables as Markdown', false)
  .option('--output <directory>', 'where the results and their chart are written', 'bench/results')
  .option('--from <file>', 'measure nothing: print the results of this file')
  .addHelpText(
    'after',
    `\nScenarios:\n${SCENARIOS.map(({ name, shows }) => `  ${name.padEnd(20)} ${shows}`).join('\n')}`,
  )

const options = command.parse().opts<Options>()

await orSayWhy(async () => {
  const found = options.from === undefined ? await measured(options) : await readResults(options.from)
  if (options.json) console.log(JSON.stringify(found))
  else if (options.markdown) console.log(markdownReport(found, SCENARIOS))
  else console.log(terminalReport(found, SCENARIOS))
  const without = found.scenarios.filter(({ noFigure }) => noFigure !== undefined)
  for (const { name, noFigure } of without) process.stderr.write(`${name}: no figure: ${noFigure}\n`)
  if (without.length > 0) process.exitCode = 1
})

async function measured({ scenario: names, ...chosen }: Options): Promise<Results> {
  const scenarios: readonly Scenario[] = SCENARIOS.filter(({ name }) => names?.includes(name) ?? true)
  await using server = await openServer(process.env['DATABASE_URL'])
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    process.once(
      signal,
      () => void Promise.resolve(server[Symbol.asyncDispose]()).finally(() => process.exit(code)),
    )
  const startedAt = new Date()
  const found: Results = {
    startedAt: startedAt.toISOString(),
    command: spelled(process.argv.slice(2)),
    machine: thisMachine(),
    postgres: { version: server.version, description: server.description, plugins: [...server.plugins] },
    plugin: chosen.plugin,
    scale: chosen.scale,
    besideOthers: chosen.besideOthers,
    scenarios: await playAll(scenarios, server, {
      ...chosen,
      rounds: chosen.rounds,
      progress: progressOf(startedAt),
    }),
  }
  await write(found, chosen.output)
  return found
}

async function write(found: Results, directory: string): Promise<void> {
  await mkdir(directory, { recursive: true })
  const file = path.join(directory, found.startedAt.slice(0, 19).replaceAll(':', '-'))
  await writeFile(`${file}.json`, `${JSON.stringify(found, rounded)}\n`)
  await writeFile(`${file}.svg`, chart(found))
  process.stderr.write(`${file}.json and ${file}.svg written\n`)
}

/** Where the results go is nobody's business but the caller's. */
function spelled(args: readonly string[]): string {
  const told = args.filter((arg, index) => arg !== '--output' && args[index - 1] !== '--output')
  return ['npm run bench', ...(told.length > 0 ? ['--', ...told] : [])].join(' ')
}

/** Six digits: more is noise, and makes the file twice as long. */
function rounded(_: string, value: unknown): unknown {
  return typeof value === 'number' && Number.isFinite(value) ? Number(value.toPrecision(6)) : value
}

function progressOf(startedAt: Date): (text: string) => void {
  let last = ''
  let saidAt = 0
  return (text) => {
    const now = Date.now()
    const line = `${Math.round((now - startedAt.getTime()) / 1000)} s  ${text}`
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`)
    // A file of progress is not to be longer than the run: counts are told seldom, each new step at once.
    else if (withoutCounts(text) !== last || now - saidAt > 10_000) process.stderr.write(`${line}\n`)
    else return
    last = withoutCounts(text)
    saidAt = now
  }
}

function withoutCounts(text: string): string {
  return text.replace(/: received \d+.*/, ': received')
}

function positive(text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new InvalidArgumentError('It has to be a positive number.')
  return value
}
