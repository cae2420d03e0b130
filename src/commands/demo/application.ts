/**
 * The demo's application: a shop with a table of orders. It knows nothing of Walhook but one SQL function, which it
 * calls in the transaction that writes the order. Its commits are timed when they return to it.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { Database } from '../../store/database.ts'
import { publish } from '../../store/outbox.ts'
import type { Order, ShopEvent } from './story.ts'

export const CONNECTIONS = 4

/** An event whose transaction ended as the plot wanted it to. */
export interface WrittenEvent {
  readonly id: string
  readonly event: ShopEvent
  readonly order: Order
  /** By `performance.now()`, when the commit (or rollback) had returned. */
  readonly endedAtMs: number
}

export class Shop implements AsyncDisposable {
  readonly #database: Database

  private constructor(database: Database) {
    this.#database = database
  }

  static async open(databaseUrl: string): Promise<Shop> {
    const database = new Database({ url: databaseUrl, maxConnections: CONNECTIONS })
    await database.query(
      'create table public.orders (number integer primary key, customer text not null, amount numeric not null)',
    )
    return new Shop(database)
  }

  /** All at once, as customers come; as many transactions run at a time as there are connections. */
  async sell(
    orders: readonly Order[],
    told: (written: readonly WrittenEvent[]) => void,
  ): Promise<readonly WrittenEvent[]> {
    const perOrder = await Promise.all(
      orders.map(async (order) => {
        const written = await this.#sellOne(order)
        told(written)
        return written
      }),
    )
    return perOrder.flat()
  }

  /** Each connection sells its share, one order every `everyMs`: nothing piles up, so what is timed is the path. */
  async sellSteadily(
    orders: readonly Order[],
    everyMs: number,
    signal: AbortSignal,
  ): Promise<readonly WrittenEvent[]> {
    const waiting = [...orders]
    const sold: WrittenEvent[] = []
    const startedAt = performance.now()
    const sellShare = async (connection: number): Promise<void> => {
      for (let turn = 0; !signal.aborted; turn++) {
        // The turns of the connections lie between one another, and a slow one does not push the rest back.
        const dueAt = startedAt + (turn + connection / CONNECTIONS) * everyMs
        await delay(Math.max(0, dueAt - performance.now()))
        const order = waiting.shift()
        if (order === undefined) return
        sold.push(...(await this.#sellOne(order)))
      }
    }
    await Promise.all(Array.from({ length: CONNECTIONS }, (_, connection) => sellShare(connection)))
    return sold
  }

  async #sellOne(order: Order): Promise<readonly WrittenEvent[]> {
    const ids: string[] = []
    try {
      await this.#database.transaction(async (tx) => {
        await tx.query('insert into public.orders (number, customer, amount) values ($1, $2, $3)', [
          order.number,
          order.customer,
          order.amount,
        ])
        for (const { type, payload } of order.events)
          ids.push(await publish(tx, { type, payload, key: `order ${order.number}` }))
        if (order.fate === 'rollback') throw new CardDeclined()
      })
    } catch (error) {
      if (!(error instanceof CardDeclined)) throw error
    }
    const endedAtMs = performance.now()
    return ids.flatMap((id, i) => {
      const event = order.events[i]
      return event === undefined ? [] : [{ id, event, order, endedAtMs }]
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#database[Symbol.asyncDispose]()
  }
}

/** Why the shop rolls an order back, after it has written everything. */
class CardDeclined extends Error {}
