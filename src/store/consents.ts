/**
 * Consents of endpoints, and whose turn it is to ask for one. Invariant: of all replicas one asks at a time, and none sooner than
 * the pause after the last refusal; a changed subscription is asked at once.
 */
import type { ConsentAnswer } from '../core/consent.ts'
import type { Queryable } from './database.ts'

/** What is asked of whom, for whom. */
export interface ConsentQuestion {
  readonly subscriptionId: string
  readonly url: string
  readonly origin: string
}

const TAKE_TURN = {
  name: 'walhook_take_turn_to_ask',
  text: /* sql */ `
    insert into walhook.consents as c (subscription_id, url, origin)
    select s.id, s.url, $3
    from walhook.subscriptions as s
    where s.id = $1 and s.url = $2 and s.handshake
    on conflict (subscription_id) do update
    set
      url = excluded.url,
      origin = excluded.origin,
      asked_at = now(),
      refusals = case when c.url = excluded.url and c.origin = excluded.origin then c.refusals else 0 end,
      refused_for = case when c.url = excluded.url and c.origin = excluded.origin then c.refused_for end,
      consented_at = null,
      allowed_rate = null
    where c.url <> excluded.url
      or c.origin <> excluded.origin
      or c.consented_at is null and (
        c.asked_at + walhook.consent_pause(c.refusals) <= now()
        or c.asked_at < (select s.updated_at from walhook.subscriptions as s where s.id = c.subscription_id)
      )
    returning c.subscription_id`,
}

/** Returns whether it is ours to ask, now. */
export async function takeTurnToAsk(db: Queryable, question: ConsentQuestion): Promise<boolean> {
  const { subscriptionId, url, origin } = question
  return (await db.query(TAKE_TURN, [subscriptionId, url, origin])).length > 0
}

/** Of a question that is still the last one. Returns the pause until it is asked again, in milliseconds. */
export async function recordConsent(
  db: Queryable,
  { subscriptionId, url, origin }: ConsentQuestion,
  answer: ConsentAnswer,
): Promise<number | undefined> {
  const isConsent = answer.kind === 'consented'
  const [recorded] = await db.query<{ pauseMs: number }>(
    /* sql */ `
    update walhook.consents as c
    set
      consented_at = case when $4 then now() end,
      allowed_rate = $5::integer,
      refusals = case when $4 then 0 else c.refusals + 1 end,
      refused_for = $6
    where c.subscription_id = $1 and c.url = $2 and c.origin = $3
    returning extract(epoch from walhook.consent_pause(c.refusals))::double precision * 1000 as "pauseMs"`,
    [
      subscriptionId,
      url,
      origin,
      isConsent,
      isConsent ? answer.perMinute : null,
      isConsent ? null : answer.reason,
    ],
  )
  return recorded?.pauseMs
}
