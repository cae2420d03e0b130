/** Events as the application thinks them up: of several sizes and types, with payloads that a parser would damage. */
import fc from 'fast-check'
import { jsonText } from '../../support/json-text.ts'
import { Random } from './random.ts'

export interface EventDraft {
  readonly id: string
  readonly type: string
  readonly key: string | null
  readonly payload: string
  /** RFC 3339 with microseconds. */
  readonly createdAt: string
}

const TYPES = [
  [5, 'order.created'],
  [2, 'order.line.added'],
  [2, 'invoice.paid'],
  [1, 'user-signed_up'],
] as const

const SIZES = [
  [90, 0],
  [8, 4_000],
  [2, 60_000],
] as const

const KEYS = 8
const TRAPS = 400

export class EventDrafts {
  readonly #random: Random
  readonly #traps: readonly string[]
  readonly #name: string
  #count = 0

  /** `name` is one connection's: no two write events of the same key, so each knows its keys' commit order. */
  constructor(seed: number, name: string) {
    this.#random = Random.of(seed, name)
    this.#name = name
    this.#traps = fc.sample(jsonText, { seed, numRuns: TRAPS })
  }

  next(): EventDraft {
    const random = this.#random
    const padding = '🎉 é\\n'.repeat(Math.ceil(random.weighted(SIZES) / 8))
    const trap = random.pick(this.#traps)
    const thousandths = String(random.between(0, 999)).padStart(3, '0')
    return {
      id: random.uuid(),
      type: random.weighted(TYPES),
      key: random.chance(0.7) ? `${this.#name}/${random.between(1, KEYS)}` : null,
      payload: `{"n": ${++this.#count}, "amount": ${random.between(0, 999)}.10,\t"trap":${trap}, "padding":"${padding}"}`,
      createdAt: new Date().toISOString().replace('Z', `${thousandths}Z`),
    }
  }
}

/** The body that a receiver has to get, to the byte. */
export function bodyOf(event: EventDraft): string {
  return `{"id":"${event.id}","type":"${event.type}","timestamp":"${event.createdAt}","data":${event.payload}}`
}
