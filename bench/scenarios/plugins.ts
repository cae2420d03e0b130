import { cpuOf } from '../figures/measurement.ts'
import { scenario } from '../scenario.ts'
import { Stage } from '../stage/stage.ts'

const EVENTS = 50_000

export const plugins = scenario({
  name: 'plugins',
  shows: `${EVENTS.toLocaleString('en')} events drained over each plugin that the server has`,
  rounds: 2,
  figures: {
    pgoutput: { what: 'pgoutput: deliveries', unit: 'per second' },
    pgoutputCpu: { what: 'pgoutput: CPU a delivery, Postgres included', unit: 'ms' },
    wal2json: { what: 'wal2json: deliveries', unit: 'per second' },
    wal2jsonCpu: { what: 'wal2json: CPU a delivery, Postgres included', unit: 'ms' },
  },
  async round(stage) {
    const figures: Partial<Record<'pgoutput' | 'pgoutputCpu' | 'wal2json' | 'wal2jsonCpu', number>> = {}
    for (const plugin of stage.server.plugins) {
      // A slot keeps the plugin that it was made with.
      await using own = await Stage.open(stage.server, { ...stage.options, plugin })
      const events = own.scaled(EVENTS, 500)
      await own.subscribe()
      const measured = await own.commitAndDrain(plugin, events)
      figures[plugin] = measured.perSecond
      figures[`${plugin}Cpu`] = cpuOf(measured)
      stage.measurements.push(...own.measurements)
    }
    return figures
  },
})
