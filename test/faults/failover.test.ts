/** The short forms of the failover experiments. They need two servers with a network between them: containers. */
import { describe, expect, inject, test } from 'vitest'
import { FAILOVERS } from './experiments/failover.ts'

const SEED = 20_261_122
const hasContainers = process.env['WALHOOK_TEST_POSTGRES'] === 'container'

const title = hasContainers
  ? 'in containers'
  : 'not run: containers (WALHOOK_TEST_POSTGRES=container has them)'

describe.skipIf(!hasContainers)(`${title}`, () => {
  const runs = FAILOVERS.flatMap((failover) =>
    (['wal2json', 'pgoutput'] as const).map((plugin) => ({ failover, plugin })),
  )
  for (const { failover, plugin } of runs)
    test(`${failover.name} over ${plugin}: ${failover.does}`, async () => {
      const lines: string[] = []
      const say = (line: string): void => void lines.push(line)
      const run = { postgres: inject('postgres'), plugin, form: 'short', seed: SEED, say } as const
      const finding = await failover.run(run)
      expect(finding.failures, JSON.stringify({ ...finding, lines }, undefined, 2)).toEqual([])
    })
})
