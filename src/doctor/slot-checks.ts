/** The slot: whether it is there, read, safe, and where it should be. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../config.ts'
import { type Fact, judged, unknown } from '../core/doctor.ts'
import { judgeReplicas, judgeTransactions } from '../core/doctor-processes.ts'
import { type ServerFacts, settingOf } from '../core/doctor-server.ts'
import {
  judgeFailover,
  judgeSidecar,
  judgeSlotPosition,
  judgeSlotState,
  judgeSlotWal,
  type SlotFacts,
} from '../core/doctor-slot.ts'
import { planSlot } from '../core/slot-plan.ts'
import { listReplicas } from '../store/replicas.ts'
import { readRelayRow } from '../store/relay-ledger.ts'
import { readOpenTransactions, readPreparedTransactions, readSlotFacts } from '../store/slot-facts.ts'
import { countWaitingEvents } from '../store/traffic-facts.ts'
import { VERSION } from '../version.ts'
import { both, type Examination } from './examination.ts'
import type { SchemaKnown } from './schema-checks.ts'
import { primaryOnly, type ServerKnown } from './server-checks.ts'

const COUNT_UP_TO = 1_000
/** Two looks that are so far apart tell how fast the log grows. */
const LOOK_AGAIN_AFTER_MS = 2_000

export function lookAtSlot(
  examination: Examination,
  config: Config,
  { server }: ServerKnown,
): Promise<Fact<SlotFacts>> {
  return examination.askAfter(primaryOnly(server), (tx) =>
    readSlotFacts(tx, config.slotName, performance.now()),
  )
}

/** Returns what is known of a slot that is there. */
export async function checkSlot(
  examination: Examination,
  config: Config,
  ground: ServerKnown,
  schema: SchemaKnown,
  slot: Fact<SlotFacts>,
): Promise<Fact<SlotFacts>> {
  const { server, replication } = ground
  const expected = expectedSlot(slot, server, schema)
  examination.add('slot', judged(expected, judgeSlotState))
  const there: Fact<SlotFacts> =
    expected.kind === 'known' && !expected.value.exists ? unknown('there is no slot') : expected

  const waiting = await examination.askAfter(both(there, schema.tables), async (tx) => ({
    waitingEvents: await countWaitingEvents(tx, config.slotName, COUNT_UP_TO),
    countedUpTo: COUNT_UP_TO,
  }))
  // Where they cannot be counted, who streams is told all the same.
  const sidecar = waiting.kind === 'known' ? waiting.value : undefined
  examination.add(
    'sidecar',
    judged(there, (facts) => judgeSidecar(facts, sidecar)),
  )

  const replicas = await examination.askAfter(schema.tables, listReplicas)
  examination.add(
    'replicas',
    judged(replicas, (found) =>
      judgeReplicas(
        found.map(({ is_gone: isGone, ...replica }) => ({ ...replica, isGone })),
        VERSION,
      ),
    ),
  )

  // After the slot: what is confirmed was recorded before, so that a slot that was read first is never ahead by itself.
  const recorded = await examination.askAfter(
    both(both(there, replication), schema.tables),
    async (tx, [known]) => ({
      known,
      row: await readRelayRow(tx, config.slotName),
    }),
  )
  examination.add(
    'slot_position',
    judged(recorded, ({ known: [facts, identity], row }) =>
      judgeSlotPosition(
        planSlot(
          { ...identity, database: facts.ourDatabase },
          {
            plugin: facts.plugin,
            database: facts.database,
            confirmedLsn: facts.confirmedLsn,
            isActive: facts.reading.isActive,
            walStatus: facts.reading.state,
            invalidationReason: facts.reading.invalidationReason,
          },
          row,
        ),
        config.slotName,
      ),
    ),
  )
  examination.add(
    'slot_failover',
    judged(both(there, server), ([facts, { version, physicalSlots, ...rest }]) =>
      judgeFailover(facts, {
        version,
        physicalSlots,
        synchronizedSlots: settingOf({ version, physicalSlots, ...rest }, 'synchronized_standby_slots'),
      }),
    ),
  )
  await checkTransactions(examination, server)
  return there
}

/** Why there can be no slot yet says more than that there is none. */
function expectedSlot(
  slot: Fact<SlotFacts>,
  server: Fact<ServerFacts>,
  schema: SchemaKnown,
): Fact<SlotFacts> {
  if (slot.kind === 'unknown' || slot.value.exists) return slot
  if (server.kind === 'known' && settingOf(server.value, 'wal_level') !== 'logical')
    return unknown('wal_level is not logical, so that there can be none')
  if (schema.schemaExists.kind === 'known' && !schema.schemaExists.value)
    return unknown('there is no schema walhook: `walhook migrate` makes both')
  return slot
}

async function checkTransactions(examination: Examination, server: Fact<ServerFacts>): Promise<void> {
  const found = await examination.askAfter(server, async (tx, { seesOthers, login }) => ({
    open: await readOpenTransactions(tx),
    prepared: await readPreparedTransactions(tx),
    seesOthers,
    login,
  }))
  examination.add('transactions', judged(found, judgeTransactions))
}

/** Looks again, where Postgres sets a limit: how long it takes to get there wants two looks. */
export async function checkSlotWal(
  examination: Examination,
  config: Config,
  slot: Fact<SlotFacts>,
): Promise<void> {
  if (slot.kind === 'unknown' || slot.value.reading.safeBytes === undefined) {
    examination.add(
      'slot_wal',
      judged(slot, (facts) => judgeSlotWal(facts, undefined)),
    )
    return
  }
  const first = slot.value
  const passedMs = performance.now() - first.reading.atMs
  await sleep(Math.max(0, LOOK_AGAIN_AFTER_MS - passedMs))
  const again = await examination.ask((tx) => readSlotFacts(tx, config.slotName, performance.now()))
  examination.add(
    'slot_wal',
    judged(again, (latest) => judgeSlotWal(latest, first.reading)),
  )
}
