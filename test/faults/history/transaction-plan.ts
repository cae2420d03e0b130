/** What an application's transaction does, drawn at random: the shapes in which events reach the log, or do not. */
import type { EventDraft, EventDrafts } from './event-draft.ts'
import type { Random } from './random.ts'

export interface Step {
  readonly how: 'insert' | 'copy'
  readonly events: readonly EventDraft[]
  /** `take back`: rolled back to a savepoint. `delete`: deleted again, in the same transaction. */
  readonly end: 'keep' | 'take back' | 'delete'
}

export interface TransactionPlan {
  readonly steps: readonly Step[]
  /** `at once`: one statement, without begin and commit. */
  readonly ending: 'at once' | 'commit' | 'rollback' | 'commit prepared' | 'rollback prepared'
}

/** What the server, and the experiment, allow; a shape that is not to be had becomes the nearest one that is. */
export interface Offers {
  readonly prepared: boolean
  readonly deletes: boolean
}

const SHAPES = [
  [40, 'single'],
  [15, 'commit'],
  [12, 'rollback'],
  [10, 'savepoint'],
  [3, 'delete'],
  [10, 'copy'],
  [4, 'rollback copy'],
  [4, 'prepared'],
  [2, 'rollback prepared'],
] as const

export function planTransaction(random: Random, drafts: EventDrafts, offers: Offers): TransactionPlan {
  const some = (most: number): EventDraft[] =>
    Array.from({ length: random.between(1, most) }, () => drafts.next())
  const insert = (end: Step['end'] = 'keep'): Step => ({ how: 'insert', events: some(3), end })
  const copy = (): Step => ({ how: 'copy', events: some(12), end: 'keep' })
  const shape = random.weighted(SHAPES)
  switch (shape) {
    case 'single':
      return { steps: [{ how: 'insert', events: [drafts.next()], end: 'keep' }], ending: 'at once' }
    case 'commit':
      return { steps: [insert(), insert()], ending: 'commit' }
    case 'rollback':
      return { steps: [insert(), insert()], ending: 'rollback' }
    case 'savepoint':
      return {
        steps: [insert(), insert('take back'), insert()],
        ending: random.chance(0.8) ? 'commit' : 'rollback',
      }
    case 'delete':
      return { steps: [insert(), insert(offers.deletes ? 'delete' : 'keep')], ending: 'commit' }
    case 'copy':
      return { steps: [copy()], ending: 'commit' }
    case 'rollback copy':
      return { steps: [copy()], ending: 'rollback' }
    case 'prepared':
      return { steps: [insert(), copy()], ending: offers.prepared ? 'commit prepared' : 'commit' }
    case 'rollback prepared':
      return { steps: [insert()], ending: offers.prepared ? 'rollback prepared' : 'rollback' }
  }
}
