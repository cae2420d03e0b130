/** What is written to the tables of others: each preset's, and rows whose ids meet. */
import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import { SOURCE_PRESETS } from '../../src/core/source-table.ts'
import { eachPlugin, test } from '../support/fixtures.ts'
import { malformed } from '../support/other-outboxes.ts'
import { subscribe, untilRecorded, untilSettled } from '../support/sql-surface.ts'

eachPlugin(() => {
  test('a row of each preset’s table arrives with its id, type, key, tenant and time', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const presets = Object.entries(SOURCE_PRESETS)
    const tableOf = (preset: string): string => `public.box_${preset.replaceAll('-', '_')}`
    for (const [preset, { id, type, key, tenant, payload, headers, timestamp }] of presets) {
      const columns: readonly (readonly [name: string | undefined, form: string])[] = [
        [id, 'uuid primary key'],
        ...type.map((name) => [name, 'text'] as const),
        [key, 'text'],
        [tenant, 'text'],
        [payload, 'jsonb'],
        [headers, 'jsonb'],
        [timestamp, 'timestamptz'],
      ]
      const made = columns.flatMap(([name, form]) => (name === undefined ? [] : [`${name} ${form}`]))
      await db.query(`create table ${tableOf(preset)} (${made.join(', ')})`)
    }
    await sidecar({
      WALHOOK_SOURCES: presets.map(([preset]) => `${tableOf(preset)}=${preset}`).join('; '),
    })
    await subscribe(db, receiver.url('/hook'), { eventTypes: ['order.*'] })

    const written = new Map<string, string>()
    for (const [preset, { id, type, key, tenant, payload, headers, timestamp }] of presets) {
      const own = randomUUID()
      written.set(own, preset)
      const values: readonly (readonly [name: string | undefined, value: string])[] = [
        [id, own],
        ...type.map(
          (name, i) => [name, type.length === 1 ? 'order.created' : (['order', 'created'][i] ?? '')] as const,
        ),
        [key, 'order 17'],
        [tenant, 'acme'],
        [payload, JSON.stringify({ preset })],
        [headers, '{}'],
        [timestamp, '2026-11-22T15:30:09Z'],
      ]
      const given = values.flatMap(([name, value]) => (name === undefined ? [] : [{ name, value }]))
      await db.query(
        `insert into ${tableOf(preset)} (${given.map(({ name }) => name).join(', ')})
         values (${given.map((_, i) => `$${i + 1}`).join(', ')})`,
        given.map(({ value }) => value),
      )
    }
    await untilSettled(db, presets.length)
    const requests = receiver.requests()
    expect(requests).toHaveLength(presets.length)
    expect(new Set(requests.map(({ id }) => written.get(id)))).toEqual(new Set(Object.keys(SOURCE_PRESETS)))
    for (const { id, body } of requests) {
      const preset = written.get(id) ?? ''
      expect(JSON.parse(body.toString())).toMatchObject({ id, type: 'order.created', data: { preset } })
      const { tenant, timestamp } = SOURCE_PRESETS[preset] ?? {}
      expect(
        await db.query('select key, tenant, created_at from walhook.outbox where id = $1', [id]),
        preset,
      ).toMatchObject([
        {
          key: 'order 17',
          tenant: tenant === undefined ? null : 'acme',
          ...(timestamp !== undefined && { created_at: new Date('2026-11-22T15:30:09Z') }),
        },
      ])
    }
  })

  test('an id that another event has is malformed: nobody gets that event’s payload in its place', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const columns = 'id uuid primary key, aggregatetype text, aggregateid text, type text, payload jsonb'
    await db.query(`create table public.a (${columns}); create table public.b (${columns})`)
    const { logs } = await sidecar({ WALHOOK_SOURCES: 'public.a=debezium; public.b=debezium' })
    await subscribe(db, receiver.url('/hook'), { eventTypes: ['order.*'] })
    const id = randomUUID()
    const write = (table: string, whose: string): Promise<unknown> =>
      db.query(`insert into public.${table} values ($1, 'order', $2, 'created', $3)`, [
        id,
        whose,
        JSON.stringify({ whose }),
      ])
    await write('a', 'ada')
    await untilSettled(db, 1)
    await write('b', 'bob')
    await logs.waitFor('relay.malformed_row')
    await untilRecorded(db)
    expect(receiver.requests().map(({ body }) => JSON.parse(body.toString()).data)).toEqual([
      { whose: 'ada' },
    ])
    expect(await malformed(db)).toMatchObject([{ reason: 'the fan-out refused it: SQLSTATE 23505' }])
  })
})
