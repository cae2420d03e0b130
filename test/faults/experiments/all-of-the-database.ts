/** Those that do something to the database, and wait for no lease: a test file of their own runs their short forms. */
import type { Experiment } from '../experiment.ts'
import { connectionsEnded } from './connections-ended.ts'
import { deadlock, lockedDeliveries, shortLimits } from './database-in-the-way.ts'
import { diskFull } from './disk-full.ts'
import { FAILOVERS } from './failover.ts'
import { replicationHole } from './holes.ts'
import { largeTransaction } from './large-transaction.ts'
import { longTransaction } from './long-transaction.ts'
import { maintenance } from './maintenance.ts'
import { noConnectionFree } from './no-connection-free.ts'
import { POSTGRES_STOPS } from './postgres-stops.ts'
import { slotDropped } from './slot-dropped.ts'

export const DATABASE_EXPERIMENTS: readonly Experiment[] = [
  ...POSTGRES_STOPS,
  slotDropped,
  connectionsEnded,
  replicationHole,
  lockedDeliveries,
  shortLimits,
  deadlock,
  noConnectionFree,
  diskFull,
  longTransaction,
  largeTransaction,
  maintenance,
  ...FAILOVERS,
]
