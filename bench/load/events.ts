/** What the events of a load are like: numbered, and spread evenly over so many types, tenants and keys. */

export interface EventShape {
  /** `bench.event` where there is one; else `bench.e0`, `bench.e1` and so on. */
  readonly types?: number
  readonly tenants?: number
  readonly keys?: number
  /** About so many; an order of 200 bytes where it is not said. */
  readonly payloadBytes?: number
}

const ORDER = {
  order: 12_345,
  customer: 'c-42',
  total: 129.9,
  currency: 'EUR',
  lines: [
    { sku: 'A-1', quantity: 2 },
    { sku: 'B-7', quantity: 1 },
  ],
  note: 'leave at the door',
}

export function payloadOf({ payloadBytes = 200 }: EventShape = {}): string {
  const plain = JSON.stringify(ORDER)
  const room = payloadBytes - plain.length - ',"text":""'.length
  // Not one letter again and again: Postgres would compress that to nothing.
  return room <= 0
    ? plain
    : JSON.stringify({
        ...ORDER,
        text: Array.from({ length: room }, (_, i) => ((i * 7919) % 36).toString(36)).join(''),
      })
}

/** The type, key and tenant of event number `n`. */
export function namesOf(n: number, { types = 0, keys = 0, tenants = 0 }: EventShape): (string | null)[] {
  return [
    types === 0 ? 'bench.event' : `bench.e${n % types}`,
    keys === 0 ? null : `key ${n % keys}`,
    tenants === 0 ? null : `tenant ${n % tenants}`,
  ]
}
