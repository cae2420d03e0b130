/** How the demo ends: the tables as psql would print them, the times, and whether the story came true. */
import { visible } from '../../core/untrusted-text.ts'
import type { DeliveryCount, DeliveryStatus } from '../../store/delivery-reports.ts'
import { paintStates } from '../deliveries.ts'
import { psqlTable } from '../psql-table.ts'
import type { Paint } from '../terminal.ts'
import type { Claim } from './check.ts'
import type { Latency } from './latency.ts'

export interface Ending {
  /** Every one, in the order of their ids. */
  readonly deliveries: readonly DeliveryStatus[]
  /** How many of them, from the first on, are those of the orders that were told one by one. */
  readonly toldDeliveries: number
  readonly counts: readonly DeliveryCount[]
  readonly latency: Latency | undefined
  readonly claims: readonly Claim[]
}

const SHOWN = ['id', 'state', 'event_type', 'key', 'url', 'attempts', 'last_status', 'last_error']
const COUNTED = ['state', 'deliveries', 'attempts']
const MOST_OBJECTIONS = 5

export function isTrue({ claims }: Pick<Ending, 'claims'>): boolean {
  return claims.every(({ against }) => against.length === 0)
}

export function whatPsqlShows(
  { deliveries, toldDeliveries, counts }: Ending,
  paint: Paint,
): readonly string[] {
  const paintCell = paintStates({ paint })
  const shown = deliveries.slice(0, toldDeliveries).map((row) => ({ ...row, id: BigInt(row.id) }))
  const prompt = (sql: string): string => paint('dim', `postgres=# ${sql}`)
  return [
    prompt(`select ${SHOWN.join(', ')} from walhook.delivery_status order by id limit ${toldDeliveries};`),
    psqlTable(SHOWN, shown, paintCell),
    '',
    prompt(
      'select state, count(*) as deliveries, sum(attempts) as attempts from walhook.deliveries group by state;',
    ),
    psqlTable(COUNTED, counts, paintCell),
  ]
}

export function whatCameOfIt({ latency, claims }: Ending, paint: Paint): readonly string[] {
  return [...latencyLines(latency, paint), ...claims.flatMap((claim) => claimLines(claim, paint)), '']
}

function latencyLines(latency: Latency | undefined, paint: Paint): readonly string[] {
  if (latency === undefined) return []
  const figures = paint('bold', `p50 ${latency.p50Ms.toFixed(1)} ms, p99 ${latency.p99Ms.toFixed(1)} ms`)
  return [
    `   commit to receipt: ${figures} (${latency.samples} first attempts of chapter 3; from the commit's`,
    '   return to the shop until the endpoint had the whole request: one process, one clock)',
  ]
}

function claimLines({ text, against }: Claim, paint: Paint): readonly string[] {
  const mark = against.length === 0 ? paint('green', '✓') : paint('red', '✗')
  const more = against.length - MOST_OBJECTIONS
  return [
    `   ${mark} ${text}`,
    ...against.slice(0, MOST_OBJECTIONS).map((objection) => `       ${visible(objection)}`),
    ...(more > 0 ? [`       and ${more} more`] : []),
  ]
}

/** For a program; the counts and deliveries bear the names of the database's columns. */
export function endingAsJson(ending: Ending): Readonly<Record<string, unknown>> {
  const { deliveries, counts, latency, claims } = ending
  return {
    ok: isTrue(ending),
    commit_to_receipt_ms:
      latency === undefined ? null : { p50: latency.p50Ms, p99: latency.p99Ms, samples: latency.samples },
    counts,
    claims: claims.map(({ text, against }) => ({ claim: text, holds: against.length === 0, against })),
    deliveries,
  }
}
