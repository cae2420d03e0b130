/** The slot goes under load, over and over, with the sidecar there or away: it is made anew, and the outbox fills the gap. */
import { dropSlot } from '../../support/sql-surface.ts'
import { conclude, type Experiment, rounds } from '../experiment.ts'
import { Scene } from '../scene.ts'
import { msUntilLogged, SOME_LOAD, worst } from '../while-in-trouble.ts'

export const slotDropped: Experiment = {
  name: 'slot-dropped',
  does: 'Drops the slot under load, with a sidecar that streams it or without one: 4 times, or 40.',
  passes: 'it is made anew, nothing that committed in between is missing, and nothing comes twice',
  forms: ['short', 'long'],
  async run(run) {
    await using scene = await Scene.open(run, this.name)
    let sidecar = await scene.startSidecar()
    // What is deleted in the transaction that wrote it, no outbox can give back.
    await scene.startApplication({ ...(run.form === 'short' ? SOME_LOAD : {}), deletes: false })
    const healedMs: number[] = []
    for (const round of rounds(run, { short: 4, long: 40 })) {
      await scene.untilReceived(10)
      const isAway = round % 2 === 0
      if (isAway) await scene.stop(sidecar)
      const since = Date.now()
      await scene.faults.during('database', 'slot dropped', async () => {
        await dropSlot(scene.db)
        if (isAway) sidecar = await scene.startSidecar()
        await msUntilLogged(sidecar, 'slot.created', since)
        await msUntilLogged(sidecar, 'relay.streaming', since)
      })
      healedMs.push(Date.now() - since)
    }
    const verdict = await scene.judge()
    return conclude(
      verdict,
      { drops: healedMs.length, healed_within_ms: worst(healedMs) },
      { [this.passes]: verdict.counts.duplicates === 0 },
    )
  },
}
