import { rateBetween } from '../figures/measurement.ts'
import { scenario } from '../scenario.ts'
import { whileLooking } from '../stage/looking.ts'
import type { Stage } from '../stage/stage.ts'

const ENDPOINTS = 10
const PER_SECOND = 1_000
const SECONDS = 300
const DRAINED = 50_000
const PATIENCE = ['5s', '10s', '20s', ...Array.from({ length: 30 }, () => '30s')]

export const outage = scenario({
  name: 'outage',
  shows: `all ${ENDPOINTS} endpoints refuse connections for ${SECONDS / 60} minutes at ${PER_SECOND.toLocaleString('en')} events/s, and come back`,
  rounds: 1,
  figures: {
    drain: { what: 'drain of the same endpoints before', unit: 'per second' },
    lag: { what: 'the longest from an INSERT to its recorded deliveries', unit: 's', reach: { atMost: 1 } },
    unconfirmed: { what: 'the most of the log that was unconfirmed', unit: 'kB', reach: { atMost: 1_000 } },
    walhook: { what: "Walhook's memory at most", unit: 'MiB', reach: { atMost: 300 } },
    firstAfter: { what: 'from their return to the first delivery', unit: 's' },
    recovery: { what: 'deliveries after, of the first 95 %', unit: 'per second' },
    ofDrain: { what: 'those, of the drain', unit: 'ratio', reach: { atLeast: 0.7 } },
    allAfter: { what: 'until all are delivered', unit: 's' },
  },
  async round(stage) {
    const shape = { types: ENDPOINTS }
    for (let n = 0; n < ENDPOINTS; n++)
      await stage.subscribe({ path: `/ok/${n}`, types: [`bench.e${n}`], retrySchedule: PATIENCE })
    const drained = stage.scaled(DRAINED, 500)
    await stage.commit(drained, shape)
    const { perSecond: drain } = await stage.drain('drain before', drained, () => stage.startWalhook())

    await stage.receiver.ask('close')
    const seconds = stage.scaled(SECONDS, 5)
    let unconfirmed = 0
    const look = async (): Promise<void> => {
      unconfirmed = Math.max(unconfirmed, await unconfirmedBytes(stage))
    }
    const down = await whileLooking(1_000, look, () =>
      stage.measure('every endpoint down', async () => {
        const paced = await stage.pace(PER_SECOND, seconds, shape)
        return { deliveries: paced.committedAt.size, result: undefined }
      }),
    )
    const lag = await longestLag(stage)

    const events = PER_SECOND * seconds
    const up = await stage.drain('the endpoints are back', events, () => stage.receiver.ask('reopen'))
    const firstAfter = up.samples.find(({ received }) => received > 0)?.second ?? NaN
    const recovery = rateBetween(up.samples, 0.01, 0.95)
    return {
      drain,
      lag,
      unconfirmed: unconfirmed / 1000,
      walhook: Math.max(down.measurement.walhookPeakMiB, up.walhookPeakMiB),
      firstAfter,
      recovery,
      ofDrain: recovery / drain,
      allAfter: events / up.perSecond,
    }
  },
})

/** Bytes of the log that are written and not confirmed; what Walhook itself writes among them. */
async function unconfirmedBytes(stage: Stage): Promise<number> {
  const [row] = await stage.database.query<{ bytes: number }>(
    `select pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::float8 as bytes
     from pg_replication_slots where database = current_database()`,
  )
  return row?.bytes ?? 0
}

/** Of all that was relayed in the last, in seconds, by the database's clock. */
async function longestLag(stage: Stage): Promise<number> {
  const [row] = await stage.database.query<{ seconds: number }>(
    `select extract(epoch from max(d.created_at - o.created_at))::float8 as seconds
     from walhook.deliveries as d join walhook.outbox as o on o.id = d.event_id
     where d.state = 'pending'`,
  )
  return row?.seconds ?? NaN
}
