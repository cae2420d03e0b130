/** What `WALHOOK_SOURCES` may say. */
import { describe, expect, test } from 'vitest'
import { parseSources, SOURCE_PRESETS, sourceName, type SourceWish } from '../../src/core/source-table.ts'

function wishes(text: string): readonly SourceWish[] {
  const parsed = parseSources(text)
  if (parsed.kind === 'refused') throw new Error(parsed.rule)
  return parsed.sources
}

function rule(text: string): string {
  const parsed = parseSources(text)
  return parsed.kind === 'refused' ? parsed.rule : 'accepted'
}

test.each(Object.keys(SOURCE_PRESETS))('the preset %s stands for its columns', (preset) => {
  expect(wishes(`app.events=${preset}`)).toEqual([
    { schema: 'app', table: 'events', columns: SOURCE_PRESETS[preset] },
  ])
})

test('a preset takes columns of one’s own, beside its own and in place of them', () => {
  expect(wishes('public.outbox=debezium,type:type,tenant:org_id')[0]?.columns).toEqual({
    ...SOURCE_PRESETS['debezium'],
    type: ['type'],
    tenant: 'org_id',
  })
})

test('a mapping names columns by what they are', () => {
  expect(wishes('app.events=id:event_id,type:area.kind,payload:body,key:k,headers:h,timestamp:at')).toEqual([
    {
      schema: 'app',
      table: 'events',
      columns: {
        id: 'event_id',
        type: ['area', 'kind'],
        payload: 'body',
        key: 'k',
        headers: 'h',
        timestamp: 'at',
      },
    },
  ])
})

test.each(['a.b=nestarc;c.d=outboxy', ' a.b=nestarc ; c.d=outboxy; ', 'a.b=nestarc\n\tc.d=outboxy'])(
  'entries are separated by semicolons and blanks: %j',
  (text) => {
    expect(wishes(text).map(sourceName)).toEqual(['a.b', 'c.d'])
  },
)

test('names are read as SQL reads them, and what is quoted separates nothing', () => {
  expect(wishes(`Public.OutBox=id:"a b;c,d.e=f:g",type:"x.y"."z",payload:"say ""it"""`)).toEqual([
    {
      schema: 'public',
      table: 'outbox',
      columns: { id: 'a b;c,d.e=f:g', type: ['x.y', 'z'], payload: 'say "it"' },
    },
  ])
})

test.each(['public.outbox', '"My Schema"."it""s"', 'a."B"', '"1".b'])(
  '%s is told as it was written',
  (name) => {
    expect(wishes(`${name}=debezium`).map(sourceName)).toEqual([name])
  },
)

describe('an entry that is wrong is shown, with what is wrong', () => {
  test.each([
    ['public.outbox', 'it has to be like'],
    ['outbox=debezium', 'it has to be like'],
    ['public.outbox=', 'it has to be like'],
    ['a.b.c=debezium', 'it has to be like'],
    ['a.1b=debezium', 'it has to be like'],
    ['a."b=debezium', 'it has to be like'],
    ['public.outbox=kafka', 'there is no preset kafka: there are debezium,'],
    ['public.outbox=constructor', 'there is no preset constructor'],
    ['public.outbox=debezium,kafka', 'kafka is not field:column'],
    ['public.outbox=debezium,', ' is not field:column'],
    ['public.outbox=debezium,topic:x', 'topic:x is not field:column, with one of the fields id, type,'],
    ['public.outbox=debezium,key:', 'key: is not field:column'],
    ['public.outbox=debezium,key:a,key:b', 'key is mapped twice'],
    ['public.outbox=debezium,key:a.b', 'key is one column'],
    ['public.outbox=type:a,payload:b', 'id has to be mapped'],
    ['public.outbox=id:a,payload:b', 'type has to be mapped'],
    ['public.outbox=id:a,type:b', 'payload has to be mapped'],
  ])('%s', (entry, why) => {
    expect(rule(entry)).toContain(`has a wrong entry, ${entry}: `)
    expect(rule(entry)).toContain(why)
  })

  test('a table has one entry', () => {
    expect(rule('public.outbox=debezium; PUBLIC."outbox"=nestarc')).toContain(
      'public.outbox has an entry already',
    )
  })
})
