/** What operators and migrations do to the tables while they are streamed and written. */
import { conclude, type Experiment, rounds } from '../experiment.ts'
import { Scene } from '../scene.ts'
import { lapseLeftLeases, SOME_LOAD } from '../while-in-trouble.ts'

/** In this order: later ones undo earlier ones, so that the whole can be done again. */
const MAINTENANCE = [
  'vacuum walhook.outbox',
  'vacuum full walhook.outbox',
  'vacuum full walhook.deliveries',
  'vacuum full walhook.relay',
  'cluster walhook.outbox using outbox_pkey',
  'alter table walhook.outbox add column region text',
  `alter table walhook.outbox alter column region set default 'eu'`,
  'alter table walhook.outbox add column noted_at timestamptz default clock_timestamp()',
  'alter table walhook.outbox rename column region to area',
  'create index outbox_by_type on walhook.outbox (type)',
  'create index concurrently outbox_by_area on walhook.outbox (area)',
  'reindex table concurrently walhook.outbox',
  'alter table walhook.outbox alter column area type varchar(100)',
  `alter table walhook.outbox replica identity full`,
  'alter table walhook.outbox replica identity default',
  'alter table walhook.outbox set (fillfactor = 80)',
  'analyze walhook.outbox',
  'alter table walhook.outbox drop column area',
  'alter table walhook.outbox drop column noted_at',
  'drop index walhook.outbox_by_type',
  `alter table walhook.outbox drop constraint if exists smaller,
     add constraint smaller check (octet_length(payload::text) < 10000000)`,
] as const

export const maintenance: Experiment = {
  name: 'maintenance',
  does: 'Vacuums, rewrites, indexes and alters the outbox under load: each statement once, or 10 times.',
  passes: 'nothing comes twice, and no row is taken for malformed',
  forms: ['short', 'long'],
  async run(run) {
    await using scene = await Scene.open(run, this.name)
    await scene.startSidecar()
    const application = await scene.startApplication(run.form === 'short' ? SOME_LOAD : {})
    for (const _ of rounds(run, { short: 1, long: 10 }))
      for (const statement of MAINTENANCE) {
        await scene.untilReceived(2)
        // These lock the tables for a moment each.
        await scene.faults.during('database', statement, () => scene.db.query(statement))
      }
    await scene.untilReceived(20)
    await lapseLeftLeases(run, scene, application)
    const malformed = await scene.db.query('select from walhook.malformed')
    const verdict = await scene.judge()
    return conclude(
      verdict,
      { statements: MAINTENANCE.length },
      { [this.passes]: verdict.counts.duplicates === 0 && malformed.length === 0 },
    )
  },
}
