/** `walhook doctor`: everything that can be wrong between here and a delivered webhook, and what to run to mend it. */
import type { Command } from 'commander'
import { type Config, parseConfig } from '../config.ts'
import { countOf, type Finding, plural, type Status, type Step } from '../core/doctor.ts'
import { visible, visibleJson } from '../core/untrusted-text.ts'
import { errorMessage, WalhookError } from '../lifecycle/errors.ts'
import { wholeNumber } from './arguments.ts'
import type { CommandContext } from './command.ts'
import { loadDoctor } from './load-sidecar.ts'
import type { Style, Terminal } from './terminal.ts'

interface DoctorOptions {
  readonly endpoints: number
  readonly skipEndpoints?: true
  readonly json?: true
}

const MOST_ENDPOINTS = 1_000

export function addDoctor(walhook: Command, context: CommandContext): void {
  walhook
    .command('doctor')
    .description(
      'Check everything between here and a delivered webhook, and say what to run where something is wrong. It only looks: nothing is written or sent.',
    )
    .option(
      '--endpoints <count>',
      'try at most so many endpoints, those that failed last first',
      wholeNumber(1, MOST_ENDPOINTS),
      50,
    )
    .option('--skip-endpoints', 'connect to none')
    .option('--json', 'print JSON: {"status", "counts", "checks"}')
    .addHelpText(
      'after',
      '\nExit codes: 0 nothing is wrong (there may be warnings); 1 a problem was found; 2 the settings are wrong.',
    )
    .action((options: DoctorOptions) => run(context, options))
}

async function run(context: CommandContext, options: DoctorOptions): Promise<void> {
  const { terminal } = context
  const config = settings(context, options)
  const examine = await loadDoctor()
  const findings = await examine(config, {
    endpoints: options.skipEndpoints === true ? 0 : options.endpoints,
    onCheck: (id) => terminal.progress(`looked at ${id} …`),
  })
  if (options.json) terminal.print(visibleJson(documentOf(findings)))
  else for (const line of linesOf(findings, terminal.paint)) terminal.print(line)
  const { problem } = countOf(findings)
  if (problem > 0) throw new WalhookError('problems_found', `${plural(problem, 'problem')} found`)
}

/** Settings that cannot be read end it; a program that reads our JSON is told in JSON too. */
function settings(context: CommandContext, options: DoctorOptions): Config {
  try {
    return parseConfig(context.environment)
  } catch (error) {
    const remedy = error instanceof WalhookError ? error.remedy : undefined
    const finding: Finding = {
      check: 'configuration',
      status: 'problem',
      summary: errorMessage(error),
      why: 'Nothing can be looked at before every setting can be read.',
      steps: remedy === undefined ? [] : [{ kind: 'do', text: remedy }],
    }
    if (options.json) context.terminal.print(visibleJson(documentOf([finding])))
    throw error
  }
}

function documentOf(findings: readonly Finding[]): unknown {
  const counts = countOf(findings)
  return {
    status: counts.problem > 0 ? 'problem' : counts.warning > 0 ? 'warning' : 'ok',
    counts,
    checks: findings.map((finding) => ({
      id: finding.check,
      status: finding.status,
      summary: finding.summary,
      why: 'why' in finding ? finding.why : null,
      steps: 'steps' in finding ? finding.steps : [],
    })),
  }
}

const SIGNS: Readonly<Record<Status, { readonly sign: string; readonly style: Style }>> = {
  ok: { sign: '✓', style: 'green' },
  warning: { sign: '!', style: 'yellow' },
  problem: { sign: '✗', style: 'red' },
  skipped: { sign: '–', style: 'dim' },
}

/** What is wrong with many endpoints is mostly the same, and not said for each of them. */
const EXPLAINED_TIMES = 3

function linesOf(findings: readonly Finding[], paint: Terminal['paint']): readonly string[] {
  const width = Math.max(...findings.map(({ check }) => check.length))
  const indent = ' '.repeat(width + 4)
  const explained = new Map<string, number>()
  const lines = findings.flatMap((finding) => {
    if (finding.status === 'skipped') return []
    const { sign, style } = SIGNS[finding.status]
    const head = `${paint(style, sign)} ${finding.check.padEnd(width)}  ${visible(finding.summary)}`
    if (!('why' in finding)) return [head]
    const times = (explained.get(finding.why) ?? 0) + 1
    explained.set(finding.why, times)
    if (times > EXPLAINED_TIMES) return [head]
    return [
      head,
      `${indent}${paint('dim', visible(finding.why))}`,
      ...finding.steps.map((step) => `${indent}${stepLine(step, paint)}`),
    ]
  })
  const { ok, warning, problem, skipped } = countOf(findings)
  const counts = [
    plural(problem, 'problem'),
    plural(warning, 'warning'),
    `${ok} fine`,
    ...(skipped > 0 ? [`${skipped} not checked`] : []),
  ]
  return [...lines, ...notChecked(findings, paint), '', counts.join(', ')]
}

/** By reason: where the database is away, that is all there is to say of nearly everything. */
function notChecked(findings: readonly Finding[], paint: Terminal['paint']): readonly string[] {
  const byReason = Map.groupBy(
    findings.filter(({ status }) => status === 'skipped'),
    ({ summary }) => summary,
  )
  return [...byReason].flatMap(([reason, skipped]) => [
    paint('dim', `${SIGNS.skipped.sign} not checked: ${visible(reason)}`),
    paint('dim', `  ${skipped.map(({ check }) => check).join(', ')}`),
  ])
}

/** A line to be copied stands alone, behind what it is for. */
function stepLine({ kind, text }: Step, paint: Terminal['paint']): string {
  const label = { sql: 'sql', shell: '$', do: '→' }[kind]
  return kind === 'do'
    ? `${paint('cyan', label.padEnd(3))} ${visible(text)}`
    : `${paint('cyan', label.padEnd(3))} ${paint('bold', visible(text))}`
}
