/** All there are, in the order in which they are run. */
import type { Experiment } from '../experiment.ts'
import {
  acceptedNotRecorded,
  failedNotScheduled,
  receivedNotRecorded,
  recordedNotConfirmed,
} from './crash-windows.ts'
import { DATABASE_EXPERIMENTS } from './all-of-the-database.ts'
import { batches } from './batches.ts'
import { clockJumps } from './clock-jumps.ts'
import { endpointsDown } from './endpoints-down.ts'
import { frozen } from './frozen.ts'
import { POOL_HOLES } from './holes.ts'
import { idleOutbox } from './idle-outbox.ts'
import { killAtRandom } from './kill-at-random.ts'
import { memoryCapped } from './memory-capped.ts'
import { orderedKeys } from './ordered-keys.ts'
import { parkedAndReplayed } from './parked-and-replayed.ts'
import { replicas } from './replicas.ts'
import { sigtermUnderLoad } from './sigterm-under-load.ts'

export const EXPERIMENTS: readonly Experiment[] = [
  killAtRandom,
  replicas,
  orderedKeys,
  batches,
  parkedAndReplayed,
  endpointsDown,
  frozen,
  sigtermUnderLoad,
  receivedNotRecorded,
  recordedNotConfirmed,
  acceptedNotRecorded,
  failedNotScheduled,
  clockJumps,
  memoryCapped,
  ...POOL_HOLES,
  idleOutbox,
  ...DATABASE_EXPERIMENTS,
]
