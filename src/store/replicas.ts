/** Which processes run: each writes its own row, and takes away those of the dead. */
import type { Queryable } from './database.ts'

export interface ReplicaBeat {
  readonly id: string
  readonly host: string
  readonly version: string
  readonly role: string
}

/** What has not been seen for so long is forgotten; until then it shows as gone. */
const FORGET_AFTER = '10 minutes'

const BEAT = /* sql */ `
  with forgotten as (
    delete from walhook.replicas where seen_at < now() - $5::interval and id <> $1
  )
  insert into walhook.replicas as r (id, host, version, role)
  values ($1, $2, $3, $4)
  on conflict (id) do update set role = excluded.role, seen_at = excluded.seen_at`

export async function beat(db: Queryable, { id, host, version, role }: ReplicaBeat): Promise<void> {
  await db.query(BEAT, [id, host, version, role, FORGET_AFTER])
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
