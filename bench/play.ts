/** Plays scenarios, each round on a fresh stage. One that cannot be measured has no figure, and the others go on. */
import { NoFigure } from './figures/no-figure.ts'
import type { Results, ScenarioResult } from './results.ts'
import type { Scenario } from './scenario.ts'
import type { Server } from './stage/server.ts'
import { Stage, type StageOptions } from './stage/stage.ts'

export async function playAll(
  scenarios: readonly Scenario[],
  server: Server,
  options: StageOptions & { readonly rounds: number | undefined },
): Promise<Results['scenarios']> {
  const played: ScenarioResult[] = []
  for (const scenario of scenarios) played.push(await play(scenario, server, options))
  return played
}

async function play(
  scenario: Scenario,
  server: Server,
  options: StageOptions & { readonly rounds: number | undefined },
): Promise<ScenarioResult> {
  const rounds: ScenarioResult['rounds'] = []
  const measurements: ScenarioResult['measurements'] = []
  const wanted = options.rounds ?? scenario.rounds
  for (let round = 1; round <= wanted; round++) {
    const progress = (text: string): void =>
      options.progress(`${scenario.name}, round ${round} of ${wanted}: ${text}`)
    progress('preparing')
    try {
      await using stage = await Stage.open(server, { ...options, progress })
      const figures = await scenario.round(stage)
      rounds.push(present(figures))
      measurements.push([...stage.measurements])
    } catch (error) {
      if (!(error instanceof NoFigure)) throw error
      return { name: scenario.name, rounds: [], measurements: [], noFigure: error.message }
    }
  }
  return { name: scenario.name, rounds, measurements }
}

function present(figures: Partial<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(figures).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  )
}
