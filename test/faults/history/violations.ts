/** Broken promises, counted by kind: a run that loses a million events says so once, with a few examples. */

export type ViolationKind =
  | 'lost'
  | 'phantom'
  | 'unwanted'
  | 'forged'
  | 'altered'
  | 'no delivery'
  | 'several deliveries'
  | 'row for nobody'
  | 'unsettled'
  | 'dead for no reason'
  | 'unexplained duplicate'
  | 'sent after it was recorded'
  | 'out of order'
  | 'not batched as wished'
  | 'another batch under its id'

export interface ViolationCount {
  readonly kind: ViolationKind
  readonly count: number
  /** `event at subscription: detail`, of the first few. */
  readonly examples: readonly string[]
}

const EXAMPLES = 5

export class Violations {
  readonly #byKind = new Map<ViolationKind, { count: number; examples: string[] }>()

  add(kind: ViolationKind, eventId: string, subscription: string, detail?: string): void {
    const seen = this.#byKind.get(kind) ?? { count: 0, examples: [] }
    this.#byKind.set(kind, seen)
    seen.count++
    if (seen.examples.length < EXAMPLES)
      seen.examples.push(`${eventId} at ${subscription}${detail === undefined ? '' : `: ${detail}`}`)
  }

  all(): readonly ViolationCount[] {
    return [...this.#byKind].map(([kind, { count, examples }]) => ({ kind, count, examples }))
  }
}
