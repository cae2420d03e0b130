/**
 * `npm run faults`: the long forms of the experiments, one after the other, on a Postgres of its own (npm's, which has
 * pgoutput) or on the server of DATABASE_URL: a login that may create databases and slots. Exit code 0: all passed.
 *
 * A seed is printed. The same seed makes the same workload and the same schedule of faults; how they meet is up to the
 * machine, so that a failure may take several runs to come back.
 */
import { randomInt } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import Table from 'cli-table3'
import { Command, InvalidArgumentError, Option } from 'commander'
import { errorMessage } from '../../src/lifecycle/errors.ts'
import { layGround } from '../support/ground.ts'
import type { Plugin } from '../support/sidecar-environment.ts'
import { type Experiment, type Finding, type Form, NotPossibleHere, type Run } from './experiment.ts'
import { EXPERIMENTS } from './experiments/all.ts'

interface Options {
  readonly minutes?: number
  readonly seed: number
  readonly plugin: readonly Plugin[]
  readonly experiment: readonly string[]
  readonly rate?: number
  readonly events?: number
  readonly short?: true
  readonly output?: string
}

interface Result {
  readonly experiment: string
  readonly plugin: Plugin
  readonly outcome: 'passed' | 'failed' | 'not possible here'
  readonly seconds: number
  readonly why: readonly string[]
  readonly finding?: Finding
}

function positive(text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new InvalidArgumentError('has to be a number above 0.')
  return value
}

function wholeNumber(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('has to be a whole number.')
  return value
}

const say = (line: string): void => void process.stderr.write(`${line}\n`)

const command = new Command('npm run faults --')
  .description('Breaks a running Walhook in every way there is an experiment for, and checks its history.')
  .option('--minutes <n>', 'how long each experiment goes on; default: its own number of rounds', positive)
  .option('--seed <n>', 'workload and schedule of faults of an earlier run', wholeNumber, randomInt(2 ** 31))
  .addOption(
    new Option('--plugin <names...>', 'default: what the server has')
      .choices(['wal2json', 'pgoutput'])
      .default([]),
  )
  .addOption(
    new Option('--experiment <names...>', 'default: all')
      .choices(EXPERIMENTS.map(({ name }) => name))
      .default([]),
  )
  .option('--rate <n>', 'events a second; default: what each experiment thinks fit', positive)
  .option('--events <n>', 'length of the backlog that is drained; default: 1,000,000', wholeNumber)
  .option('--short', 'the short forms, as in npm test')
  .option('--output <file>', 'writes the results as JSON')
  .addHelpText(
    'after',
    `\nExperiments:\n${EXPERIMENTS.map(({ name, does }) => `  ${name.padEnd(22)} ${does}`).join('\n')}`,
  )

async function main(options: Options): Promise<boolean> {
  const form: Form = options.short === true ? 'short' : 'long'
  const chosen = EXPERIMENTS.filter(
    ({ name, forms }) =>
      (options.experiment.length === 0 || options.experiment.includes(name)) && forms.includes(form),
  )
  await using ground = await layGround(whichPostgres())
  const { plugins } = ground.provided
  const wanted = options.plugin.length === 0 ? (['wal2json', 'pgoutput'] as const) : options.plugin
  for (const plugin of options.plugin)
    if (!plugins.includes(plugin))
      throw new Error(`the server has no ${plugin}: it has ${plugins.join(' and ')}`)
  say(`seed ${options.seed}`)

  const results: Result[] = []
  for (const experiment of chosen)
    for (const plugin of wanted.filter(
      (name) => plugins.includes(name) && (experiment.plugins ?? wanted).includes(name),
    )) {
      const title = `${experiment.name} over ${plugin}`
      say(`\n${title}: ${experiment.does}`)
      const result = await attempt(experiment, {
        postgres: ground.provided,
        plugin,
        form,
        seed: options.seed,
        ...(options.minutes === undefined ? {} : { minutes: options.minutes }),
        ...(options.rate === undefined ? {} : { perSecond: options.rate }),
        ...(options.events === undefined ? {} : { events: options.events }),
        say: (line) => say(`  ${line}`),
      })
      say(`  ${result.outcome} in ${result.seconds} s${result.why.map((line) => `\n    ${line}`).join('')}`)
      results.push(result)
    }
  process.stdout.write(`${asTable(results)}\n`)
  const failed = results.filter(({ outcome }) => outcome === 'failed')
  const missed = results.filter(({ outcome }) => outcome === 'not possible here')
  say(
    `${results.length - failed.length - missed.length} passed, ${failed.length} failed, ${missed.length} not possible here; seed ${options.seed}`,
  )
  if (options.output !== undefined)
    await writeFile(
      options.output,
      `${JSON.stringify({ seed: options.seed, form, results }, undefined, 2)}\n`,
    )
  return failed.length === 0 && results.length > missed.length
}

/** As the tests choose, but that DATABASE_URL names a server too, and no container is started unasked. */
function whichPostgres(): NodeJS.ProcessEnv {
  const { DATABASE_URL: url, ...env } = process.env
  if (url !== undefined && url !== '')
    return { ...env, WALHOOK_TEST_POSTGRES: '', WALHOOK_TEST_DATABASE_URL: url }
  return { WALHOOK_TEST_POSTGRES: 'embedded', ...env }
}

async function attempt(experiment: Experiment, run: Run): Promise<Result> {
  const startedAt = performance.now()
  const seconds = (): number => Math.round((performance.now() - startedAt) / 1000)
  const which = { experiment: experiment.name, plugin: run.plugin }
  try {
    const finding = await experiment.run(run)
    const outcome = finding.failures.length === 0 ? 'passed' : 'failed'
    return { ...which, outcome, seconds: seconds(), why: finding.failures, finding }
  } catch (error) {
    const outcome = error instanceof NotPossibleHere ? 'not possible here' : 'failed'
    return { ...which, outcome, seconds: seconds(), why: [errorMessage(error)] }
  }
}

function asTable(results: readonly Result[]): string {
  const table = new Table({
    head: [
      'experiment',
      'plugin',
      '',
      's',
      'committed',
      'rolled back',
      'owed',
      'accepted',
      'dead',
      'requests',
      'duplicates',
      'figures',
    ],
    style: { head: [], border: [] },
    colAligns: ['left', 'left', 'left', ...Array.from({ length: 8 }, () => 'right' as const), 'left'],
  })
  for (const { experiment, plugin, outcome, seconds, finding } of results) {
    const counts = finding?.verdict.counts
    const figures = Object.entries(finding?.figures ?? {}).map(([name, value]) => `${name} ${value}`)
    table.push([
      experiment,
      plugin,
      outcome,
      seconds,
      counts?.committed ?? '',
      counts?.rolledBack ?? '',
      counts?.owed ?? '',
      counts?.accepted ?? '',
      counts?.dead ?? '',
      counts?.requests ?? '',
      counts === undefined ? '' : duplicatesOf(counts),
      figures.join('\n'),
    ])
  }
  return table.toString()
}

/** `3 (killed 3)`: what explains them. */
function duplicatesOf(counts: Finding['verdict']['counts']): string {
  const explained = Object.entries(counts.explained).map(([kind, count]) => `${kind} ${count}`)
  return explained.length === 0 ? String(counts.duplicates) : `${counts.duplicates} (${explained.join(', ')})`
}

process.exitCode = (await main(command.parse().opts<Options>())) ? 0 : 1
