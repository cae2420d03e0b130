/** Outcomes → attempt rows, delivery states and retry jobs, many at a time, in one transaction. */
import type { SentBatch } from '../core/sent-batch.ts'
import { errorCode } from '../lifecycle/errors.ts'
import type { Database, Queryable } from './database.ts'
import { type HealthChange, recordHealth } from './endpoint-health.ts'
import { type RetryJob, type RetryJobs } from './jobs.ts'
import { tellDead } from './operator-events.ts'

export interface Settlement {
  readonly deliveryId: string
  readonly subscriptionId: string
  /** The lease under which the attempt was made. */
  readonly heldUntil: string
  readonly state: 'delivered' | 'pending' | 'dead'
  /** For `pending`: when the next attempt is due, from now. */
  readonly retryAfterMs: number | undefined
  /** What the request carried, where it was a batch: tried again, it goes as the same one. */
  readonly batch: SentBatch | undefined
  readonly durationMs: number
  readonly status: number | undefined
  readonly error: string | undefined
  readonly responseBody: string | undefined
  /** The endpoint answered 410, or asked for it: its subscription is disabled. */
  readonly disables: 'gone' | 'asked' | undefined
  readonly isOperatorEvent: boolean
}

/**
 * A failure counts only under its lease: a sleeper that wakes up after somebody else took over records nothing. A 2xx
 * is the truth whoever holds the delivery now, and however it was given up meanwhile. The attempt's number is the
 * database's, so that two holders cannot write the same one.
 */
const SETTLE = {
  name: 'walhook_settle',
  text: /* sql */ `
    with outcome as (
      -- Two attempts of one delivery can end together; the one that was accepted is the truth.
      select distinct on (delivery_id) *
      from unnest(
        $1::bigint[], $2::timestamptz[], $3::text[], $4::double precision[], $5::double precision[], $6::int[], $7::text[], $8::text[],
        $9::uuid[], $10::int[]
      ) as o (
        delivery_id, held_until, state, retry_after_ms, duration_ms, status, error, response_body, batch_id, batch_size
      )
      order by delivery_id, (state = 'delivered') desc
    ),
    settled as (
      update walhook.deliveries as d
      set state = o.state,
          attempts = d.attempts + 1,
          scheduled = o.state = 'pending',
          next_attempt_at = case when o.state = 'pending' then now() + o.retry_after_ms * interval '1 millisecond' end,
          finished_at = case when o.state <> 'pending' then now() end,
          last_status = o.status,
          last_error = o.error,
          -- Accepted, but somebody else has it in hand by now and may be sending it: its key waits until that lease ends.
          holds_key_until = case
            when d.order_key is not null and o.state = 'delivered' and d.state = 'pending' and not d.scheduled
              and d.next_attempt_at > now() and d.next_attempt_at < 'infinity' and d.next_attempt_at <> o.held_until
            then d.next_attempt_at
          end,
          batch_id = case when o.state = 'pending' then o.batch_id end,
          batch_size = case when o.state = 'pending' then o.batch_size end
      from outcome as o
      -- The same is said twice: a list of ids is found by the index, whatever a plan made on an empty table holds of the join.
      where d.id = any ($1::bigint[]) and d.id = o.delivery_id
        and case
          when o.state = 'delivered' then d.state <> 'delivered'
          else d.state = 'pending' and not d.scheduled and d.next_attempt_at = o.held_until
        end
      returning
        d.id, d.subscription_id, d.attempts, d.next_attempt_at, d.order_key is not null and d.state <> 'pending' as lets_go_on,
        o.duration_ms, o.status, o.error, o.response_body, o.batch_id
    ),
    recorded as (
      insert into walhook.attempts (delivery_id, number, started_at, duration_ms, response_status, error, response_body, batch_id)
      select id, attempts, now() - duration_ms * interval '1 millisecond', duration_ms, status, error, response_body, batch_id
      from settled
    )
    select
      id::text as id, attempts, next_attempt_at as "nextAttemptAt", lets_go_on as "letsGoOn",
      -- As one row: an "exists" may be answered by reading all that fail.
      (select true from walhook.failing_endpoints as f where f.subscription_id = settled.subscription_id limit 1) is true as "wasFailing"
    from settled`,
}

export interface SettledDelivery {
  readonly id: string
  /** Attempts made so far. */
  readonly attempts: number
  /** When the retry is due; null when there is none. */
  readonly nextAttemptAt: Date | null
  /** Others of its key may have been waiting for it. */
  readonly letsGoOn: boolean
}

/** Whether its endpoint had been failing, before. */
type SettledRow = SettledDelivery & { readonly wasFailing: boolean }

export interface Settled {
  readonly deliveries: readonly SettledDelivery[]
  readonly changes: readonly HealthChange[]
}

/** Raised for a row that no partition takes; class 23 of the constraints, and no fault of the row's. */
const NO_PARTITION = '23514'

/** Returns what was settled; what is missing from the answer was no longer this process's to settle. */
export async function settle(
  database: Database,
  jobs: RetryJobs,
  settlements: readonly Settlement[],
): Promise<Settled> {
  try {
    return await settleAtOnce(database, jobs, settlements)
  } catch (error) {
    // Retention makes partitions days ahead; a database restored from an old dump has none for today.
    if (errorCode(error) !== NO_PARTITION) throw error
    await database.query('select walhook.ensure_attempt_partitions()')
    return settleAtOnce(database, jobs, settlements)
  }
}

function settleAtOnce(
  database: Database,
  jobs: RetryJobs,
  settlements: readonly Settlement[],
): Promise<Settled> {
  return database.transaction(async (tx) => {
    const deliveries = await recordOutcomes(tx, settlements)
    await jobs.schedule(tx, deliveries.flatMap(retryJob))
    const settled = new Map(deliveries.map((delivery) => [delivery.id, delivery]))
    const recorded = settlements.filter(({ deliveryId }) => settled.has(deliveryId))
    await tellDead(tx, recorded.flatMap(deadLetter))
    const wereFailing = new Set(
      recorded.flatMap((s) => (settled.get(s.deliveryId)?.wasFailing === true ? [s.subscriptionId] : [])),
    )
    return { deliveries, changes: await recordHealth(tx, recorded, wereFailing) }
  })
}

/** What becomes of operator events is told to nobody. */
function deadLetter({ deliveryId, state, isOperatorEvent }: Settlement): string[] {
  return state === 'dead' && !isOperatorEvent ? [deliveryId] : []
}

function recordOutcomes(tx: Queryable, settlements: readonly Settlement[]): Promise<SettledRow[]> {
  return tx.query<SettledRow>(SETTLE, [
    settlements.map((s) => s.deliveryId),
    settlements.map((s) => s.heldUntil),
    settlements.map((s) => s.state),
    settlements.map((s) => s.retryAfterMs ?? null),
    settlements.map((s) => Math.max(0, Math.round(s.durationMs))),
    settlements.map((s) => s.status ?? null),
    settlements.map((s) => s.error ?? null),
    settlements.map((s) => s.responseBody ?? null),
    settlements.map((s) => s.batch?.id ?? null),
    settlements.map((s) => s.batch?.size ?? null),
  ])
}

function retryJob(delivery: SettledDelivery): RetryJob[] {
  if (delivery.nextAttemptAt === null) return []
  return [{ deliveryId: delivery.id, attempt: delivery.attempts + 1, dueAt: delivery.nextAttemptAt }]
}
