/** Whether the story came true: what was written, received and recorded, against the plot. Pure. */
import type { DeliveryStatus } from '../../store/delivery-reports.ts'
import type { WrittenEvent } from './application.ts'
import type { Receipt } from './receiver.ts'
import { ENDPOINT_NAMES, ENDPOINTS, type EndpointName } from './story.ts'

export interface Evidence {
  readonly written: readonly WrittenEvent[]
  readonly receipts: readonly Receipt[]
  /** Every delivery in the database. */
  readonly deliveries: readonly DeliveryStatus[]
}

export interface Claim {
  readonly text: string
  /** Where it does not hold; empty when it does. */
  readonly against: readonly string[]
}

/** One event owed to one endpoint. */
interface Debt {
  readonly written: WrittenEvent
  readonly endpoint: EndpointName
}

export function checkStory(evidence: Evidence): readonly Claim[] {
  const committed = evidence.written.filter(({ order }) => order.fate === 'commit')
  const rolledBack = evidence.written.filter(({ order }) => order.fate === 'rollback')
  const debts = debtsOf(committed)
  return [
    {
      text: 'every committed event reached every endpoint that wants it',
      against: undelivered(debts, evidence),
    },
    { text: 'what was rolled back is nowhere', against: leaked(rolledBack, evidence) },
    { text: 'nothing else arrived, and nothing twice', against: unexpected(debts, evidence) },
    { text: 'every signature was verified', against: unverified(evidence) },
    { text: 'every payload came byte for byte', against: altered(debts, evidence) },
    { text: 'the failing endpoint was tried until it accepted', against: badlyRetried(debts, evidence) },
  ]
}

/** What the plot owes: the number of deliveries that there must be. */
export function debtsOf(written: readonly WrittenEvent[]): readonly Debt[] {
  return written
    .filter(({ order }) => order.fate === 'commit')
    .flatMap((event) =>
      ENDPOINT_NAMES.filter((name) => ENDPOINTS[name].wants(event.event, event.order)).map((endpoint) => ({
        written: event,
        endpoint,
      })),
    )
}

function undelivered(debts: readonly Debt[], { receipts, deliveries }: Evidence): string[] {
  const accepted = new Set(receipts.filter((receipt) => receipt.status < 300).map(keyOfReceipt))
  const recorded = new Set(deliveries.filter((row) => row.state === 'delivered').map(keyOfDelivery))
  return debts.flatMap((debt) => {
    if (!accepted.has(keyOfDebt(debt))) return [`${nameOf(debt)} did not arrive`]
    return recorded.has(keyOfDebt(debt)) ? [] : [`${nameOf(debt)} arrived and is not recorded as delivered`]
  })
}

function leaked(rolledBack: readonly WrittenEvent[], { receipts, deliveries }: Evidence): string[] {
  const ids = new Set(rolledBack.map(({ id }) => id))
  return [
    ...receipts.filter(({ eventId }) => ids.has(eventId)).map(({ endpoint }) => `it arrived at ${endpoint}`),
    ...deliveries.filter((row) => ids.has(row.event_id)).map((row) => `delivery ${row.id} is of it`),
  ]
}

function unexpected(debts: readonly Debt[], { receipts, deliveries }: Evidence): string[] {
  const owed = new Map(debts.map((debt) => [keyOfDebt(debt), 1 + ENDPOINTS[debt.endpoint].failures]))
  const arrived = Map.groupBy(receipts, keyOfReceipt)
  return [
    ...[...arrived]
      .filter(([key, requests]) => requests.length > (owed.get(key) ?? 0))
      .map(([key, requests]) => `${key} arrived ${requests.length} times and not ${owed.get(key) ?? 0}`),
    ...deliveries
      .filter((row) => !owed.has(keyOfDelivery(row)))
      .map((row) => `nobody asked for delivery ${row.id}`),
  ]
}

function unverified({ receipts }: Evidence): string[] {
  return receipts
    .filter(({ verdict }) => verdict.kind !== 'verified')
    .map((receipt) => `${receipt.endpoint} refused ${receipt.eventType} ${receipt.eventId}`)
}

function altered(debts: readonly Debt[], { receipts }: Evidence): string[] {
  const payloads = new Map(debts.map((debt) => [keyOfDebt(debt), debt.written.event.payload]))
  return receipts
    .filter((receipt) => {
      const payload = payloads.get(keyOfReceipt(receipt))
      return payload !== undefined && !receipt.body.endsWith(`"data":${payload}}`)
    })
    .map((receipt) => `${receipt.endpoint} got another payload of ${receipt.eventType} ${receipt.eventId}`)
}

function badlyRetried(debts: readonly Debt[], { receipts, deliveries }: Evidence): string[] {
  const attemptsOf = new Map(deliveries.map((row) => [keyOfDelivery(row), row.attempts]))
  const arrived = Map.groupBy(receipts, keyOfReceipt)
  return debts.flatMap((debt) => {
    const wanted = ENDPOINTS[debt.endpoint].failures + 1
    const numbers = (arrived.get(keyOfDebt(debt)) ?? []).map(({ attempt }) => attempt).join(', ')
    const wantedNumbers = Array.from({ length: wanted }, (_, i) => i + 1).join(', ')
    const recorded = attemptsOf.get(keyOfDebt(debt))
    return numbers === wantedNumbers && recorded === wanted
      ? []
      : [
          `${nameOf(debt)}: attempts ${numbers || 'none'} arrived, ${recorded ?? 'none'} recorded, and not ${wanted}`,
        ]
  })
}

function nameOf({ written, endpoint }: Debt): string {
  return `${written.event.type} of order ${written.order.number} at ${endpoint}`
}

function keyOfDebt({ written, endpoint }: Debt): string {
  return `${endpoint} ${written.id}`
}

function keyOfReceipt({ endpoint, eventId }: Receipt): string {
  return `${endpoint} ${eventId}`
}

/** Its endpoint is the URL's last part. */
function keyOfDelivery(row: DeliveryStatus): string {
  return `${row.url?.split('/').at(-1)} ${row.event_id}`
}
