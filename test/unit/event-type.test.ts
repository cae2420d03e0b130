/** The catalog as the relay judges by it: what it says of an event, how fresh it is, and what it does not do twice. */
import { expect, test } from 'vitest'
import { misfitOf } from '../../src/core/event-type.ts'
import { parsePayloadSchema } from '../../src/core/payload-schema.ts'
import { CatalogCache } from '../../src/relay/catalog-cache.ts'
import { eventJudge } from '../../src/relay/judge-events.ts'
import type { CatalogRow, KnownVersion } from '../../src/store/event-types.ts'

const NUMBER = '{"type":"number"}'
const event = (type: string, payload = '"text"') => ({ id: `${type} ${payload}`, type, payload })

class Catalog {
  readonly rows = new Map<string, { schema: string | null; version: string; deprecated: boolean }>()
  readonly asked: (readonly KnownVersion[])[] = []
  readonly broken: string[] = []
  readonly told: string[] = []
  now = 0
  readonly cache = new CatalogCache({
    read: async (known) => {
      this.asked.push(known.map(({ name, version }) => ({ name, version })))
      const versions = new Map(known.map(({ name, version }) => [name, version]))
      return [...this.rows].map(([name, row]): CatalogRow => ({
        ...row,
        name,
        schema: versions.get(name) === row.version ? null : row.schema,
      }))
    },
    onBroken: (name) => void this.broken.push(name),
    now: () => this.now,
  })

  set(name: string, schema: string | null, version: string, deprecated = false): void {
    this.rows.set(name, { schema, version, deprecated })
  }

  judge(mode: 'warn' | 'strict') {
    return eventJudge({
      catalog: this.cache,
      strict: mode === 'strict',
      onMisfit: ({ id }, { kind }) => void this.told.push(`${id}: ${kind}`),
      onDeprecated: (type) => void this.told.push(`${type} is deprecated`),
      now: () => this.now,
    })
  }
}

test('an event is known or not, fits or not; nobody can say of one whose schema is none', () => {
  const catalog = new Map(
    [
      ['any', undefined],
      ['number', NUMBER],
      ['broken', '{"type":"objekt"}'],
    ].map(([name = '', schema]) => [
      name,
      { name, deprecated: false, schema: schema === undefined ? undefined : parsePayloadSchema(schema) },
    ]),
  )
  expect(misfitOf(event('any'), catalog)).toBeUndefined()
  expect(misfitOf(event('number', '1'), catalog)).toBeUndefined()
  // Walhook's own.
  expect(misfitOf(event('walhook.subscription.disabled'), catalog)).toBeUndefined()
  expect(misfitOf(event('number'), catalog)).toEqual({
    kind: 'payload_invalid',
    reason: 'payload does not fit its schema: must be number',
    schemaPath: '#/type',
  })
  expect(misfitOf(event('unknown'), catalog)).toMatchObject({
    kind: 'unknown_type',
    reason: 'unknown event type',
  })
  expect(misfitOf(event('broken'), catalog)).toMatchObject({
    kind: 'schema_broken',
    reason: expect.stringMatching(/^the schema of its type is none: \/type must be/),
  })
})

test('the catalog is read once a second at most, and a schema only where it may be another one', async () => {
  const catalog = new Catalog()
  catalog.set('a', NUMBER, '1')
  catalog.set('b', '{"type":"objekt"}', '1')
  const judge = catalog.judge('warn')
  for (catalog.now = 0; catalog.now < 3_000; catalog.now += 100) await judge([event('a', '1')])
  expect(catalog.asked.length).toBeLessThanOrEqual(3)
  expect(catalog.asked.slice(1).every((known) => known.length === 2)).toBe(true)
  expect(catalog.broken).toEqual(['b'])

  catalog.set('a', '{"type":"string"}', '2')
  catalog.now += 1_001
  expect((await catalog.judge('strict')([event('a', '1')])).dead.size).toBe(1)
  expect((await catalog.judge('strict')([event('a', '"x"')])).dead.size).toBe(0)
})

test('strict: nothing is dead by a catalog that is older than the event; warn does not look again', async () => {
  const catalog = new Catalog()
  await catalog.judge('warn')([event('a')])
  catalog.set('a', null, '1')
  catalog.now = 1
  expect((await catalog.judge('warn')([event('a')])).dead.size).toBe(0)
  expect(catalog.asked).toHaveLength(1)
  expect((await catalog.judge('strict')([event('a')])).dead.size).toBe(0)
  expect(catalog.asked).toHaveLength(2)
})

test('what came of it is told when it is asked to be, and not before', async () => {
  const catalog = new Catalog()
  catalog.set('old', null, '1', true)
  catalog.set('number', NUMBER, '1')
  const events = [event('old'), event('number'), event('number', '2'), event('old'), event('new')]
  const { dead, tell } = await catalog.judge('strict')(events)
  expect(catalog.told).toEqual([])
  expect([...dead]).toEqual([
    [events[1], 'payload does not fit its schema: must be number'],
    [events[4], 'unknown event type'],
  ])
  tell()
  expect(catalog.told).toEqual([
    'number "text": payload_invalid',
    'new "text": unknown_type',
    'old is deprecated',
  ])
})

test('a reading that began before it was asked for is not enough: it may not have seen what was committed since', async () => {
  const catalog = new Catalog()
  const early = catalog.cache.readSince(0)
  catalog.now = 5
  catalog.set('a', null, '1')
  const late = catalog.cache.readSince(5)
  expect([(await early).size <= 1, (await late).size]).toEqual([true, 1])
  expect(catalog.asked).toHaveLength(2)
})

test('where the catalog cannot be read, nothing is judged, and the next time is a new one', async () => {
  let fails = true
  const cache = new CatalogCache({
    read: async () => {
      if (fails) throw new Error('the database is away')
      return [{ name: 'a', deprecated: false, version: '1', schema: null }]
    },
    onBroken: () => undefined,
    now: () => 0,
  })
  await expect(cache.readSince(0)).rejects.toThrow('away')
  fails = false
  expect([...(await cache.readSince(0)).keys()]).toEqual(['a'])
})
