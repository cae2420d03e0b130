/** Leases on their way back: together, and without ever standing in the way. */
import { expect, test } from 'vitest'
import type { HeldDelivery } from '../../src/delivery/held-delivery.ts'
import { LeaseReturn } from '../../src/delivery/lease-return.ts'
import { aHeldDelivery } from './a-held-delivery.ts'

const BATCH = 1_000

class Stage {
  readonly released: (readonly HeldDelivery[])[] = []
  readonly told: string[][] = []
  readonly errors: unknown[] = []
  failing: Error | undefined
  readonly leases = new LeaseReturn({
    release: async (deliveries) => {
      this.released.push(deliveries)
      if (this.failing !== undefined) throw this.failing
    },
    onReturned: (ids) => void this.told.push([...ids]),
    onError: (error) => void this.errors.push(error),
  })
}

test('what is given back in one turn goes back together, and its subscriptions are told', async () => {
  const stage = new Stage()
  const deliveries = ['a', 'b', 'a'].map((id) => aHeldDelivery(id))
  for (const delivery of deliveries) stage.leases.giveBack([delivery])
  await stage.leases.drain()
  expect(stage.released).toEqual([deliveries])
  expect(stage.told).toEqual([['a', 'b']])
})

test('nothing to give back is nothing to do', async () => {
  const stage = new Stage()
  stage.leases.giveBack([])
  await stage.leases.drain()
  expect(stage.released).toEqual([])
})

test('thousands go back in batches, each once and in order', async () => {
  const stage = new Stage()
  const deliveries = Array.from({ length: 2 * BATCH + 1 }, () => aHeldDelivery('a'))
  stage.leases.giveBack(deliveries)
  await stage.leases.drain()
  expect(stage.released.map((batch) => batch.length)).toEqual([BATCH, BATCH, 1])
  expect(stage.released.flat()).toEqual(deliveries)
})

test('a batch that cannot go back is told and let go: its leases lapse by themselves', async () => {
  const stage = new Stage()
  const away = new Error('away')
  stage.failing = away
  stage.leases.giveBack([aHeldDelivery('a')])
  await stage.leases.drain()
  expect(stage.errors).toEqual([away])
  expect(stage.told).toEqual([])
  stage.failing = undefined
  stage.leases.giveBack([aHeldDelivery('b')])
  await stage.leases.drain()
  expect(stage.told).toEqual([['b']])
})
