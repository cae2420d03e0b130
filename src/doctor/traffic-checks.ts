/** What has gone wrong on the way, from the log to the deliveries. */
import type { Config } from '../config.ts'
import { type Fact, judged } from '../core/doctor.ts'
import {
  COUNTED_UP_TO,
  judgeBacklog,
  judgeBlockedKeys,
  judgeConsents,
  judgeDeadEvents,
  judgeDeadLetters,
  judgeGap,
  judgeMalformed,
  judgeRetention,
  judgeSubscriptions,
} from '../core/doctor-traffic.ts'
import {
  countBlockedKeys,
  countDeadEvents,
  countMalformed,
  readBacklog,
  readConsents,
  readDeadLetters,
  readGap,
  readRetention,
  readSubscriptionStates,
} from '../store/traffic-facts.ts'
import type { Examination } from './examination.ts'

/** Each in a transaction of its own: one that takes too long leaves the others their time. */
export async function checkTraffic(
  examination: Examination,
  config: Config,
  tables: Fact<true>,
  isStreamed: boolean,
): Promise<void> {
  const { retention, slotName } = config
  const gap = await examination.askAfter(tables, (tx) => readGap(tx, slotName))
  examination.add(
    'gap',
    judged(gap, (facts) => judgeGap({ ...facts, isStreamed })),
  )
  const malformed = await examination.askAfter(tables, (tx) => countMalformed(tx, COUNTED_UP_TO))
  examination.add('malformed', judged(malformed, judgeMalformed))
  const deadEvents = await examination.askAfter(tables, (tx) => countDeadEvents(tx, COUNTED_UP_TO))
  examination.add('dead_events', judged(deadEvents, judgeDeadEvents))
  const kept = await examination.askAfter(tables, (tx) => readRetention(tx, retention.outboxMs))
  examination.add(
    'retention',
    judged(kept, (facts) => judgeRetention({ ...facts, isStreamed })),
  )
  const subscriptions = await examination.askAfter(tables, readSubscriptionStates)
  examination.add('subscriptions', judged(subscriptions, judgeSubscriptions))
  const consents = await examination.askAfter(tables, readConsents)
  examination.add('consents', judged(consents, judgeConsents))
  const deadLetters = await examination.askAfter(tables, (tx) => readDeadLetters(tx, COUNTED_UP_TO))
  examination.add('dead_letters', judged(deadLetters, judgeDeadLetters))
  const blocked = await examination.askAfter(tables, (tx) => countBlockedKeys(tx, COUNTED_UP_TO))
  examination.add('blocked_keys', judged(blocked, judgeBlockedKeys))
  const backlog = await examination.askAfter(tables, (tx) => readBacklog(tx, COUNTED_UP_TO))
  examination.add(
    'backlog',
    judged(backlog, (facts) => judgeBacklog(facts, isStreamed)),
  )
}
