/** What the catalogue says of rights, of the outbox and of the publication. None of it reads a table of Walhook's. */
import type { ApplicationRights, OutboxFacts, PublicationFacts, RightFacts } from '../core/doctor-schema.ts'
import type { Queryable } from './database.ts'

const READ_RIGHTS = /* sql */ `
  with schemas as (
    select oid, nspname, pg_get_userbyid(nspowner) as owner, pg_has_role(current_user, nspowner, 'USAGE') as is_ours
    from pg_namespace
    where nspname in ('walhook', 'walhook_jobs')
  ),
  objects as (
    select
      case c.relkind when 'v' then 'VIEW' when 'm' then 'MATERIALIZED VIEW' when 'S' then 'SEQUENCE' else 'TABLE' end
        || ' ' || format('%I.%I', s.nspname, c.relname) as name
    from pg_class as c
    join schemas as s on s.oid = c.relnamespace
    -- Those of a column belong to whom its table belongs to.
    where c.relkind in ('r', 'p', 'v', 'm', 'S') and not pg_has_role(current_user, c.relowner, 'USAGE')
      and not exists (select from pg_depend as d where d.objid = c.oid and d.deptype = 'i' and d.classid = 'pg_class'::regclass)
    union all
    select 'FUNCTION ' || format('%I.%I(%s)', s.nspname, p.proname, pg_get_function_identity_arguments(p.oid))
    from pg_proc as p
    join schemas as s on s.oid = p.pronamespace
    where not pg_has_role(current_user, p.proowner, 'USAGE')
  )
  select
    current_user::text as login,
    (select rolsuper from pg_roles where rolname = current_user) as "isSuperuser",
    current_database()::text as database,
    has_database_privilege(current_database(), 'CREATE') as "mayCreate",
    coalesce(
      (
        select json_agg(json_build_object('name', nspname, 'owner', owner) order by nspname)
        from schemas
        where not is_ours
      ),
      '[]'
    ) as "foreignSchemas",
    coalesce((select json_agg(name order by name) from (select name from objects order by name limit 5) as few), '[]')
      as "foreignObjects",
    exists (select from schemas where nspname = 'walhook') as "hasSchema",
    p.oid is not null as "hasPublication",
    coalesce(pg_has_role(current_user, p.pubowner, 'USAGE'), false) as "ownsPublication",
    $1::text as publication
  from (select) as always
  left join pg_publication as p on p.pubname = $1`

export async function readRights(db: Queryable, publicationName: string): Promise<RightFacts> {
  const [facts] = await db.query<RightFacts>(READ_RIGHTS, [publicationName])
  if (facts === undefined) throw new Error('a row was asked for that is always there')
  return facts
}

const READ_APPLICATION_RIGHTS = /* sql */ `
  select
    r.oid is not null as "hasRole",
    coalesce(has_schema_privilege(r.oid, n.oid, 'USAGE'), false) as "mayUseSchema",
    coalesce(has_table_privilege(r.oid, c.oid, 'INSERT'), false) as "mayInsert",
    coalesce(
      (
        select bool_and(has_function_privilege(r.oid, p.oid, 'EXECUTE'))
        from pg_proc as p
        where p.pronamespace = n.oid and p.proname in ('publish', 'uuidv7', 'is_event_type')
      ),
      false
    ) as "mayPublish"
  from (select) as always
  left join pg_roles as r on r.rolname = 'walhook_app'
  left join pg_namespace as n on n.nspname = 'walhook'
  left join pg_class as c on c.relnamespace = n.oid and c.relname = 'outbox'`

export async function readApplicationRights(db: Queryable): Promise<ApplicationRights> {
  const [facts] = await db.query<ApplicationRights>(READ_APPLICATION_RIGHTS)
  if (facts === undefined) throw new Error('a row was asked for that is always there')
  return facts
}

const READ_OUTBOX_KIND = /* sql */ `
  select c.relkind::text as kind, c.relpersistence::text as persistence
  from pg_class as c
  join pg_namespace as n on n.oid = c.relnamespace
  where n.nspname = 'walhook' and c.relname = 'outbox'`

export async function readOutboxKind(db: Queryable): Promise<Pick<OutboxFacts, 'kind' | 'persistence'>> {
  const [row] = await db.query<{ kind: string; persistence: string }>(READ_OUTBOX_KIND)
  return { kind: row?.kind, persistence: row?.persistence }
}

const READ_PUBLICATION = /* sql */ `
  select
    p.oid is not null as exists,
    coalesce(p.pubinsert, false) as "publishesInsert",
    coalesce(p.pubviaroot, false) as "viaRoot",
    exists (
      select from pg_publication_tables as t
      where t.pubname = p.pubname and t.schemaname = 'walhook' and t.tablename = 'outbox'
    ) as "hasOutbox",
    exists (
      -- By way of json: both columns are there from Postgres 15 on.
      select
      from pg_publication_rel as r
      join pg_class as c on c.oid = r.prrelid
      join pg_namespace as n on n.oid = c.relnamespace
      where r.prpubid = p.oid and n.nspname = 'walhook' and c.relname = 'outbox'
        and coalesce(to_jsonb(r) ->> 'prqual', to_jsonb(r) ->> 'prattrs') is not null
    ) as "isNarrowed"
  from (select) as always
  left join pg_publication as p on p.pubname = $1`

export async function readPublication(
  db: Queryable,
  name: string,
): Promise<Omit<PublicationFacts, 'name' | 'outboxIsPartitioned' | 'isUsed'>> {
  const [facts] = await db.query<Omit<PublicationFacts, 'name' | 'outboxIsPartitioned' | 'isUsed'>>(
    READ_PUBLICATION,
    [name],
  )
  if (facts === undefined) throw new Error('a row was asked for that is always there')
  return facts
}
