/** Every scenario, in the order in which they are run. */
import type { Scenario } from '../scenario.ts'
import { applicationCost } from './application-cost.ts'
import { backlog } from './backlog.ts'
import { bigTransaction } from './big-transaction.ts'
import { drain } from './drain.ts'
import { fanOut } from './fan-out.ts'
import { manySubscriptions } from './many-subscriptions.ts'
import { oldTables } from './old-tables.ts'
import { ordered } from './ordered.ts'
import { outage } from './outage.ts'
import { payloads } from './payloads.ts'
import { plugins } from './plugins.ts'
import { replicas } from './replicas.ts'
import { steady } from './steady.ts'
import { unfair } from './unfair.ts'

export const SCENARIOS: readonly Scenario[] = [
  drain,
  fanOut,
  steady,
  applicationCost,
  unfair,
  outage,
  backlog,
  bigTransaction,
  manySubscriptions,
  oldTables,
  replicas,
  plugins,
  payloads,
  ordered,
]
