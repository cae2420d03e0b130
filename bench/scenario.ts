/** A question that the benchmark asks, and the figures that answer it. */
import type { Stage } from './stage/stage.ts'

export interface FigureMeaning {
  readonly what: string
  readonly unit: 'per second' | 'ms' | 'ratio' | 'MiB' | 'MB/s' | 's' | 'kB' | 'count'
  /** What it should be; said beside it, and whether it is. */
  readonly reach?: { readonly atLeast: number } | { readonly atMost: number }
}

export interface Scenario<Figure extends string = string> {
  readonly name: string
  /** In a line, what it shows. */
  readonly shows: string
  /** Each on a fresh stage. */
  readonly rounds: number
  readonly figures: Readonly<Record<Figure, FigureMeaning>>
  /** A figure that cannot be had on this server is left out. */
  round(stage: Stage): Promise<Partial<Record<Figure, number>>>
}

export function scenario<Figure extends string>(definition: Scenario<Figure>): Scenario<Figure> {
  return definition
}
