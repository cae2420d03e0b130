/** What endpoints got, and what the tables say of it. A run in which the two differ measured something else. */
import { setTimeout as sleep } from 'node:timers/promises'
import { NoFigure } from '../figures/no-figure.ts'
import type { Count, ReceiverAnswers } from '../load/receiver.ts'
import type { Child } from './child.ts'
import type { BenchDatabase } from './server.ts'

const STUCK_AFTER_MS = 90_000
/** Outcomes are recorded within milliseconds; when no more are, those that are missing were not. */
const UNRECORDED_AFTER_MS = 5_000

/** Until endpoints have got so many events, each endpoint's counted for itself, since the receiver was asked to begin. */
export async function untilReceived(
  receiver: Child<ReceiverAnswers>,
  distinct: number,
  progress: (text: string) => void,
): Promise<Count> {
  let last = -1
  let movedAt = performance.now()
  for (;;) {
    const count = await receiver.ask('count')
    if (count.distinct >= distinct) return count
    if (count.distinct !== last) {
      last = count.distinct
      movedAt = performance.now()
      progress(`received ${last} of ${distinct}`)
    } else if (performance.now() - movedAt > STUCK_AFTER_MS) {
      throw new NoFigure(
        `nothing came for ${STUCK_AFTER_MS / 1000} s, and only ${last} of ${distinct} had come`,
      )
    }
    await sleep(100)
  }
}

/** By endpoints that answer at once: `/ok/…`. */
const RECORDED = `
  with ended as (
    select d.id
    from walhook.deliveries as d
    join walhook.subscriptions as s on s.id = d.subscription_id
    where d.finished_at >= $1::timestamptz and d.state = 'delivered' and s.url like '%/ok/%'
  )
  select
    (select count(*) from ended)::int as delivered,
    count(*)::int as accepted
  from walhook.attempts as a
  join ended on ended.id = a.delivery_id
  where a.response_status between 200 and 299`

/** Until all that the endpoints accepted since `begunAt`, by the database's clock, is recorded. Throws `NoFigure` where it is not. */
export async function untilRecorded(
  database: BenchDatabase,
  begunAt: string,
  receiver: Child<ReceiverAnswers>,
): Promise<void> {
  let last = NaN
  let movedAt = performance.now()
  for (;;) {
    const { distinct, requests } = await receiver.ask('count')
    const [recorded] = await database.query<{ delivered: number; accepted: number }>(RECORDED, [begunAt])
    if (recorded?.delivered === distinct && recorded.accepted === requests) return
    if (recorded !== undefined && recorded.accepted !== last) {
      last = recorded.accepted
      movedAt = performance.now()
    } else if (performance.now() - movedAt > UNRECORDED_AFTER_MS) {
      throw new NoFigure(
        `the endpoints accepted ${distinct} events in ${requests} requests, and recorded are ${recorded?.delivered} in ${recorded?.accepted}`,
      )
    }
    await sleep(100)
  }
}

/** Until so many deliveries are recorded as owed. */
export async function untilOwed(database: BenchDatabase, deliveries: number): Promise<void> {
  for (;;) {
    const [row] = await database.query<{ owed: number }>(
      `select count(*)::int as owed from walhook.deliveries where state = 'pending'`,
    )
    if ((row?.owed ?? 0) >= deliveries) return
    await sleep(200)
  }
}
