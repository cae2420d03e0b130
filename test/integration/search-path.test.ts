/**
 * A database may give its logins a search path on which others can put functions and operators before Postgres's own.
 * Walhook's sessions are the most powerful there, and must not call any of them.
 */
import { expect, inject, onTestFinished } from 'vitest'
import { eachPlugin, test } from '../support/fixtures.ts'
import { respond } from '../support/receiver.ts'
import { publish, subscribe, untilSettled } from '../support/sql-surface.ts'
import { administer } from '../support/test-database.ts'

/** Everything of pg_catalog that can be shadowed, as something that refuses: to be called at all is the harm. */
const SHADOWS = /* sql */ `
  create schema evil;
  do $$
  declare
    f record;
    o record;
  begin
    for f in
      select p.proname, p.proretset, p.prorettype::regtype as result,
        (select string_agg(t::regtype::text, ', ' order by i) from unnest(p.proargtypes::oid[]) with ordinality as a (t, i)) as arguments
      from pg_proc as p
      where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'f' and p.provariadic = 0
        and not exists (
          select from pg_type as t
          where t.typtype = 'p' and (t.oid = any (p.proargtypes::oid[]) or t.oid = p.prorettype and t.typname <> 'void')
        )
    loop
      execute format(
        'create function evil.%I(%s) returns %s %s language plpgsql as $f$ begin raise exception %L; end $f$',
        f.proname, f.arguments, case when f.proretset then 'setof' end, f.result, 'hijacked ' || f.proname
      );
    end loop;
    for o in
      select op.oprname, op.oprleft::regtype as l, op.oprright::regtype as r, s.oid::regproc as shadow
      from pg_operator as op
      join pg_proc as p on p.oid = op.oprcode
      join pg_proc as s on s.proname = p.proname and s.proargtypes = p.proargtypes and s.pronamespace = 'evil'::regnamespace
      where op.oprnamespace = 'pg_catalog'::regnamespace and op.oprleft <> 0
    loop
      execute format('create operator evil.%s (leftarg = %s, rightarg = %s, function = %s)', o.oprname, o.l, o.r, o.shadow);
    end loop;
  end
  $$`

eachPlugin(() => {
  test('functions and operators that stand before those of Postgres are never called', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const login = `${db.slot}_login`.slice(-60)
    await db.query(`create role "${login}" superuser login password 'a-password-of-a-login'`)
    onTestFinished(async () => {
      await administer(inject('postgres').url, (admin) => admin.query(`drop role "${login}"`))
    })
    await db.query(SHADOWS)
    await db.query(`alter role "${login}" in database "${db.slot}" set search_path = evil, pg_catalog`)
    const url = new URL(db.url)
    url.username = login
    url.password = 'a-password-of-a-login'

    const { logs } = await sidecar({ DATABASE_URL: url.href, WALHOOK_AUTO_MIGRATE: 'true' })
    await logs.waitFor('relay.streaming')
    await logs.waitFor('retention.applied')
    receiver.on('/fails-once', [respond(500), respond(204)])
    await subscribe(db, receiver.url('/fails-once'), {
      filter: '$.n > 1',
      retrySchedule: ['10ms'],
      tenant: 't',
    })
    await subscribe(db, receiver.url('/gone'), { eventTypes: ['order.*'] })
    receiver.on('/gone', [respond(410)])
    await publish(db, { payload: '{"n": 2}', tenant: 't' })
    const rows = await untilSettled(db, 2)
    expect(rows.map(({ state, attempts }) => ({ state, attempts }))).toEqual(
      expect.arrayContaining([
        { state: 'delivered', attempts: 2 },
        { state: 'dead', attempts: 1 },
      ]),
    )
    expect(logs.all().filter((line) => JSON.stringify(line).includes('hijacked'))).toEqual([])

    // The trap is one: a session that takes the path as it is given falls into it.
    await expect(
      administer(url.href, (admin) => admin.query('select length($1::text)', ['x'])),
    ).rejects.toThrow('hijacked length')
  })
})
