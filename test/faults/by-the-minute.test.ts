/**
 * What happens by the minute and no sooner: leases lapse, an idle position is written, the outbox is looked at. The
 * tests wait side by side, among them the short form of every fault experiment.
 */
import { describe, expect, inject } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { eachPlugin, test } from '../support/fixtures.ts'
import {
  confirmedLsn,
  currentLsn,
  publish,
  subscribe,
  untilSettled,
  replaceOutbox,
} from '../support/sql-surface.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import type { Plugin } from '../support/sidecar-environment.ts'
import type { Experiment } from './experiment.ts'
import { EXPERIMENTS } from './experiments/all.ts'
import { DATABASE_EXPERIMENTS } from './experiments/all-of-the-database.ts'

const SEED = 20_261_122
/** Little for one; there are many, on one machine. */
const PER_SECOND = 50
/** Beyond what an experiment itself waits for. */
const AN_EXPERIMENT = { timeout: 240_000 }
const WITHIN_A_MINUTE = { withinMs: 80_000, everyMs: 250 }
const HALF_A_MINUTE = { withinMs: 60_000, everyMs: 250 }

/** Those on the database wait for no lease, and have a file of their own. */
const shortOnes = (plugin: Plugin): readonly Experiment[] =>
  EXPERIMENTS.filter(
    (experiment) =>
      experiment.forms.includes('short') &&
      (experiment.plugins ?? [plugin]).includes(plugin) &&
      !DATABASE_EXPERIMENTS.includes(experiment),
  )

describe.concurrent('side by side', () => {
  eachPlugin((plugin) => {
    test('G10: a little that others write is confirmed within half a minute, though no event comes', async ({
      db,
      sidecar,
    }) => {
      const { logs } = await sidecar()
      await logs.waitFor('relay.streaming')
      await db.query('create table neighbour (n int)')
      await db.query('insert into neighbour select generate_series(1, 1000)')
      const end = await currentLsn(db)
      await eventually(async () => expect((await confirmedLsn(db)) >= end).toBe(true), HALF_A_MINUTE)
    })

    test('G1: a server that falls silent while it is asked about the slot is given up, and asked anew', async ({
      db,
      receiver,
      sidecar,
    }) => {
      await using proxy = await TcpProxy.before(db.url)
      const { logs } = await sidecar({ WALHOOK_REPLICATION_URL: proxy.through(db.url) })
      await logs.waitFor('relay.streaming')
      await subscribe(db, receiver.url('/hook'))
      proxy.pauseAfter('IDENTIFY_SYSTEM')
      proxy.cut()
      const id = await publish(db)
      await logs.waitFor(
        'relay.interrupted',
        (line) => JSON.stringify(line).includes('timeout'),
        HALF_A_MINUTE.withinMs,
      )
      expect(receiver.requests()).toEqual([])
      proxy.heal()
      await untilSettled(db, 1)
      expect(receiver.requests().map((request) => request.id)).toEqual([id])
    })

    test('G1: an outbox that is replaced while it is streamed is noticed, and no event of its successor is missing', async ({
      db,
      receiver,
      sidecar,
    }) => {
      const { logs } = await sidecar()
      await logs.waitFor('relay.streaming')
      await subscribe(db, receiver.url('/hook'))
      await publish(db)
      await untilSettled(db, 1)
      await replaceOutbox(db)
      const unseen = await publish(db)
      const line = await logs.waitFor('relay.interrupted', undefined, HALF_A_MINUTE.withinMs)
      expect(JSON.stringify(line)).toContain('renamed, replaced')
      await logs.waitFor('relay.streaming', () => logs.all('relay.streaming').length > 1)
      const seen = await publish(db)
      await untilSettled(db, 3)
      expect(
        receiver
          .requests()
          .slice(1)
          .map(({ id }) => id)
          .toSorted(),
      ).toEqual([unseen, seen].toSorted())
    })

    test('G1: a source that is renamed while it is streamed is told, and its successor is read from then on', async ({
      db,
      receiver,
      sidecar,
    }) => {
      const table = 'create table public.events (id uuid primary key, type text, payload json)'
      await db.query(table)
      const { logs } = await sidecar({ WALHOOK_SOURCES: 'public.events=id:id,type:type,payload:payload' })
      await logs.waitFor('relay.streaming')
      await subscribe(db, receiver.url('/hook'))
      await db.query('alter table public.events rename to events_of_yesterday')
      const line = await logs.waitFor('source.unfit', undefined, HALF_A_MINUTE.withinMs)
      expect(line).toMatchObject({ source: 'public.events', reason: 'there is no table public.events' })
      await publish(db)
      await untilSettled(db, 1)
      expect(logs.all('relay.interrupted')).toEqual([])

      await db.query(table)
      await logs.waitFor('relay.interrupted', undefined, HALF_A_MINUTE.withinMs)
      await logs.waitFor('relay.streaming', () => logs.all('relay.streaming').length > 1)
      await db.query(`insert into public.events values (gen_random_uuid(), 'order.created', '{}')`)
      await untilSettled(db, 2)
      expect(logs.all('source.unfit')).toHaveLength(1)
    })

    test('G1: a publication that is dropped while the slot is read, on servers that say so and on those that do not', async ({
      db,
      receiver,
      sidecar,
    }) => {
      await subscribe(db, receiver.url('/hook'))
      const { logs } = await sidecar()
      await logs.waitFor('relay.streaming')
      await db.query('drop publication walhook')
      const ids = [await publish(db), await publish(db)]
      await untilSettled(db, 2, WITHIN_A_MINUTE)
      ids.push(await publish(db))
      await untilSettled(db, 3)
      expect(
        receiver
          .requests()
          .map(({ id }) => id)
          .toSorted(),
      ).toEqual(ids.toSorted())
    })

    test('G3: a delivery that was deleted by hand is made again, and counted; without such a hand the count is 0', async ({
      db,
      receiver,
      sidecar,
    }) => {
      await subscribe(db, receiver.url('/hook'))
      const { logs, url } = await sidecar()
      await logs.waitFor('relay.streaming')
      // The first look takes the mark up to which the second one, half a minute later, compares.
      const stays = await publish(db)
      const goes = await publish(db)
      await untilSettled(db, 2)
      // As old as what the audit may judge: younger than its subscription by more than a minute.
      await db.query(`update walhook.subscriptions set created_at = now() - interval '1 hour'`)
      await db.query('alter table walhook.subscriptions disable trigger touch_subscription')
      await db.query(`update walhook.subscriptions set updated_at = now() - interval '1 hour'`)
      await db.query('delete from walhook.deliveries where event_id = $1', [goes])
      await receiver.waitFor(3, { withinMs: 100_000 })
      await untilSettled(db, 2)
      expect(
        receiver
          .requests()
          .map(({ id }) => id)
          .toSorted(),
      ).toEqual([stays, goes, goes].toSorted())
      const metrics = await (await fetch(`${url}/metrics`)).text()
      expect(metrics).toContain('walhook_events_recovered_total{reason="audit"} 1')
      expect(metrics).toContain('walhook_events_recovered_total{reason="slot_missing"} 0')
      expect(logs.all('outbox.rescanned')).toMatchObject([
        { reason: 'first_start', events: 0 },
        { reason: 'audit', events: 1, deliveries: 1 },
      ])
    })

    // After those that hardly do anything but wait: they end at different times, so that these do not all begin at once.
    for (const experiment of shortOnes(plugin))
      test(`${experiment.name}: ${experiment.passes}`, AN_EXPERIMENT, async () => {
        const said: string[] = []
        const say = (line: string): void => void said.push(line)
        const run = {
          postgres: inject('postgres'),
          plugin,
          form: 'short',
          seed: SEED,
          perSecond: PER_SECOND,
          say,
        } as const
        const finding = await experiment.run(run)
        expect(finding.failures, JSON.stringify({ ...finding, said }, undefined, 2)).toEqual([])
      })
  })
})
