/**
 * Which processes run. A row says what a process is, and its session that it is here: so nothing has to be written for as long as
 * nothing changes.
 */
import type { Queryable } from './database.ts'

export interface Presence {
  readonly id: string
  readonly host: string
  readonly version: string
  readonly role: string
}

/** What the session of a process is called, by which walhook.is_replica_here finds it. */
export function sessionName(id: string): string {
  return `walhook replica ${id}`
}

/** What has ended shows as gone for so long. */
const FORGET_AFTER = '10 minutes'

/** Changes no row, and so is no transaction that takes a number, where everything is as it was. */
const APPEAR = /* sql */ `
  with gone as (
    update walhook.replicas
    set gone_at = now()
    where gone_at is null and id <> $1 and not walhook.is_replica_here(id)
  ),
  forgotten as (
    delete from walhook.replicas where gone_at < now() - $5::interval and id <> $1
  )
  insert into walhook.replicas as r (id, host, version, role)
  select $1, $2, $3, $4
  where not exists (select from walhook.replicas where id = $1 and role = $4 and gone_at is null)
  on conflict (id) do update set role = excluded.role, gone_at = null`

export async function appear(db: Queryable, { id, host, version, role }: Presence): Promise<void> {
  await db.query(APPEAR, [id, host, version, role, FORGET_AFTER])
}

export async function leave(db: Queryable, id: string): Promise<void> {
  await db.query(/* sql */ `delete from walhook.replicas where id = $1`, [id])
}

/** A row of walhook.replica_status; times as Postgres's text, in UTC. */
export type Replica = Readonly<{
  id: string
  host: string
  version: string
  role: string
  streams: boolean
  is_gone: boolean
  started_at: string
  seen_at: string
}>

/** Whoever streams first. */
export function listReplicas(db: Queryable): Promise<Replica[]> {
  return db.query<Replica>(/* sql */ `
    select id, host, version, role, streams, is_gone, started_at::text as started_at, seen_at::text as seen_at
    from walhook.replica_status
    order by is_gone, not streams, started_at, replica_status.id`)
}
