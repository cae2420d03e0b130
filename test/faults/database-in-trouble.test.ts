/** The short forms of the experiments on the database, side by side. */
import { describe, expect, inject } from 'vitest'
import { eachPlugin, test } from '../support/fixtures.ts'
import { DATABASE_EXPERIMENTS } from './experiments/all-of-the-database.ts'

const SEED = 20_261_122

describe.concurrent('side by side', () => {
  eachPlugin((plugin) => {
    for (const experiment of DATABASE_EXPERIMENTS.filter(
      ({ forms, plugins }) => forms.includes('short') && (plugins ?? [plugin]).includes(plugin),
    ))
      test(`${experiment.name}: ${experiment.passes}`, async () => {
        const said: string[] = []
        const say = (line: string): void => void said.push(line)
        const finding = await experiment.run({
          postgres: inject('postgres'),
          plugin,
          form: 'short',
          seed: SEED,
          say,
        })
        expect(finding.failures, JSON.stringify({ ...finding, said }, undefined, 2)).toEqual([])
      })
  })
})
