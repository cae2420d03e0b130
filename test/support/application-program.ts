/**
 * What an application's connections do, at random: transactions that insert events, keep some and take others back.
 * The application knows for each event whether it was committed, which is what a receiver is compared with.
 */
import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { publish, type Session } from './sql-surface.ts'

type Step =
  | { readonly kind: 'insert'; readonly count: number }
  /** Inserts behind a savepoint, and keeps them or rolls back to it. */
  | { readonly kind: 'savepoint'; readonly count: number; readonly isKept: boolean }

export interface TransactionPlan {
  readonly steps: readonly Step[]
  readonly commits: boolean
}

/** For each connection its transactions, in order. */
export type ApplicationPlan = readonly (readonly TransactionPlan[])[]

export interface ApplicationHistory {
  readonly committed: readonly string[]
  readonly takenBack: readonly string[]
}

const count = fc.integer({ min: 1, max: 3 })

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('insert' as const), count }),
  fc.record({ kind: fc.constant('savepoint' as const), count, isKept: fc.boolean() }),
)

const transaction: fc.Arbitrary<TransactionPlan> = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 4 }),
  commits: fc.oneof(
    { weight: 3, arbitrary: fc.constant(true) },
    { weight: 1, arbitrary: fc.constant(false) },
  ),
})

export function applicationPlan(connections: number, transactions: number): fc.Arbitrary<ApplicationPlan> {
  return fc.array(fc.array(transaction, { minLength: 1, maxLength: transactions }), {
    minLength: connections,
    maxLength: connections,
  })
}

/** Runs all connections at once. `sessions` are as many as the plan has. */
export async function carryOut(
  plan: ApplicationPlan,
  sessions: readonly Session[],
): Promise<ApplicationHistory> {
  const histories = await Promise.all(
    plan.map((transactions, i) => {
      const session = sessions[i]
      if (session === undefined) throw new RangeError('a connection is missing')
      return carryOutTransactions(transactions, session)
    }),
  )
  return {
    committed: histories.flatMap((history) => history.committed),
    takenBack: histories.flatMap((history) => history.takenBack),
  }
}

async function carryOutTransactions(
  transactions: readonly TransactionPlan[],
  session: Session,
): Promise<ApplicationHistory> {
  const committed: string[] = []
  const takenBack: string[] = []
  for (const { steps, commits } of transactions) {
    const kept: string[] = []
    await session.query('begin')
    for (const each of steps) {
      if (each.kind === 'savepoint') await session.query('savepoint s')
      const ids = Array.from({ length: each.count }, () => randomUUID())
      for (const id of ids) await publish(session, { id })
      const isKept = each.kind === 'insert' || each.isKept
      if (!isKept) await session.query('rollback to savepoint s')
      ;(isKept ? kept : takenBack).push(...ids)
    }
    await session.query(commits ? 'commit' : 'rollback')
    ;(commits ? committed : takenBack).push(...kept)
  }
  return { committed, takenBack }
}
