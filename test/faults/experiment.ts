/**
 * A fault experiment: something is done to a running system, and what comes of it is judged. Each has a short form,
 * which is a test, and a long one, which `npm run faults` runs.
 */
import type { ProvidedPostgres } from '../support/ground.ts'
import type { Plugin } from '../support/sidecar-environment.ts'
import type { Verdict } from './history/check.ts'

export type Form = 'short' | 'long'

export interface Experiment {
  /** As `--experiment` names it. */
  readonly name: string
  /** What is done, in a sentence. */
  readonly does: string
  /** When it has passed, beyond a history without violations. */
  readonly passes: string
  readonly forms: readonly Form[]
  /** Undefined: it is worth doing over each that the server has. */
  readonly plugins?: readonly Plugin[]
  run(run: Run): Promise<Finding>
}

/** One run of an experiment. */
export interface Run {
  readonly postgres: ProvidedPostgres
  readonly plugin: Plugin
  readonly form: Form
  /** The workload and the schedule of faults follow from it; timing does not. */
  readonly seed: number
  /** How long the faults go on, where the experiment repeats them; undefined: its own number of rounds. */
  readonly minutes?: number
  /** Events a second; undefined: what the experiment thinks fit. */
  readonly perSecond?: number
  /** Length of a backlog; undefined: what the experiment thinks fit. */
  readonly events?: number
  readonly say: (line: string) => void
}

export interface Finding {
  readonly verdict: Verdict
  /** What was measured, by a name with its unit: `takeover_ms`. */
  readonly figures: Readonly<Record<string, number | string>>
  /** What did not hold, in words. */
  readonly failures: readonly string[]
}

/** For what cannot be tried on this machine or server. It is told, and is no pass. */
export class NotPossibleHere extends Error {}

/** Yields 1, 2, 3 … until there were `short` or `long` rounds, or the minutes that were asked for are over. */
export function* rounds(
  run: Run,
  { short, long }: { readonly short: number; readonly long: number },
): Generator<number> {
  const endsAt = performance.now() + (run.minutes ?? 0) * 60_000
  const most = run.form === 'short' ? short : long
  for (let round = 1; run.minutes === undefined ? round <= most : performance.now() < endsAt; round++) {
    run.say(run.minutes === undefined ? `round ${round} of ${most}` : `round ${round}`)
    yield round
  }
}

/** The finding: the verdict's violations and every criterion that does not hold are failures. */
export function conclude(
  verdict: Verdict,
  figures: Finding['figures'],
  criteria: Readonly<Record<string, boolean>> = {},
): Finding {
  const broken = verdict.violations.map(
    ({ kind, count, examples }) => `${count} × ${kind}: ${examples.join('; ')}`,
  )
  const seen: Readonly<Record<string, boolean>> = {
    'events were committed, and others rolled back':
      verdict.counts.committed > 0 && verdict.counts.rolledBack > 0,
  }
  const unmet = Object.entries({ ...seen, ...criteria }).flatMap(([criterion, holds]) =>
    holds ? [] : [`not so: ${criterion}`],
  )
  return { verdict, figures, failures: [...broken, ...unmet] }
}
