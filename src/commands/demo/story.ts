/** The demo's plot: what the shop does, who has subscribed to what, and so what must arrive where. Pure. */

export interface ShopEvent {
  readonly type: string
  /** JSON text, sent byte for byte. */
  readonly payload: string
}

export interface Order {
  readonly number: number
  readonly customer: string
  readonly amount: number
  /** Written in the same transaction as the order. */
  readonly events: readonly ShopEvent[]
  readonly fate: 'commit' | 'rollback'
}

export const ENDPOINT_NAMES = ['everything', 'big-orders', 'accounting'] as const
export type EndpointName = (typeof ENDPOINT_NAMES)[number]

export interface EndpointPlan {
  readonly eventTypes: readonly string[]
  readonly filter: string | undefined
  readonly retrySchedule: readonly string[] | undefined
  /** How many requests for one event it answers 503 before it accepts. */
  readonly failures: number
  /** The same wish as event types and filter, said by other means: the story is checked against this. */
  readonly wants: (event: ShopEvent, order: Order) => boolean
}

const BIG_AMOUNT = 100

export const ENDPOINTS: Readonly<Record<EndpointName, EndpointPlan>> = {
  everything: {
    eventTypes: ['*'],
    filter: undefined,
    retrySchedule: undefined,
    failures: 0,
    wants: () => true,
  },
  'big-orders': {
    eventTypes: ['order.*'],
    filter: `$.amount > ${BIG_AMOUNT}`,
    retrySchedule: undefined,
    failures: 0,
    wants: (event, order) => event.type.startsWith('order.') && order.amount > BIG_AMOUNT,
  },
  accounting: {
    eventTypes: ['invoice.*'],
    filter: undefined,
    retrySchedule: ['200ms', '400ms'],
    failures: 2,
    wants: (event) => event.type.startsWith('invoice.'),
  },
}

/** The few that are told one by one. */
export const TOLD_ORDERS: readonly Order[] = [
  order(1, 'Ada', 25, 'commit'),
  order(2, 'Grace', 250, 'commit', ['invoice.issued']),
  order(3, 'Linus', 5000, 'rollback'),
  order(4, 'Edsger', 99.5, 'commit'),
  order(5, 'Barbara', 480, 'commit'),
]

/** The many that are timed. */
export function trafficOrders(count: number): readonly Order[] {
  const first = TOLD_ORDERS.length + 1
  return Array.from({ length: count }, (_, i) =>
    order(first + i, 'a customer', i % 2 === 0 ? 40 : 160, 'commit'),
  )
}

function order(
  number: number,
  customer: string,
  amount: number,
  fate: Order['fate'],
  more: readonly string[] = [],
): Order {
  const payload = JSON.stringify({ order: number, customer, amount })
  return {
    number,
    customer,
    amount,
    fate,
    events: ['order.created', ...more].map((type) => ({ type, payload })),
  }
}
