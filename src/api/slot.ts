/** /v1/slot and /v1/replicas: how near Postgres is to giving the slot up, who streams it, and which processes there are. */
import { z } from 'zod'
import { judgeSlot, SLOT_RISKS, SLOT_STATES } from '../core/slot-health.ts'
import type { Queryable } from '../store/database.ts'
import { listReplicas } from '../store/replicas.ts'
import { readSlotHealth, readSlotStatus } from '../store/slot-health.ts'
import type { ApiApp } from './app.ts'
import { notFound } from './problem.ts'
import { shownTime, shownTimeOrNull, timestamp, uuid } from './schemas.ts'

export interface SlotPorts {
  readonly database: Queryable
  readonly slotName: string
  /** What the watch of this process reckons; undefined until it has looked twice, or where there is no limit. */
  readonly secondsUntilLost: () => number | undefined
}

const bytes = z.number().nullable()

export const slot = z
  .object({
    slot_name: z.string(),
    exists: z.boolean(),
    state: z.enum(SLOT_STATES),
    invalidation_reason: z.string().nullable().describe("Postgres's word for why it gave the slot up."),
    risk: z.enum(SLOT_RISKS).describe('How near it is to being lost.'),
    cause: z.string().nullable().describe('Whom to look at, for people; null while there is no risk.'),
    seconds_until_lost: z
      .number()
      .nullable()
      .describe(
        'If the log goes on growing and nothing more is read; null without a limit, or without growth.',
      ),
    plugin: z.string().nullable(),
    active: z.boolean().describe('Whether any process streams it.'),
    active_pid: z.int().nullable().describe("Postgres's process that serves it."),
    streamed_by: uuid.nullable().describe('The replica that streams it, where one says so.'),
    streamed_by_host: z.string().nullable(),
    retained_wal_bytes: bytes.describe('Log that Postgres keeps for it.'),
    unconfirmed_wal_bytes: bytes.describe('The part that is not confirmed: the lag in bytes.'),
    safe_wal_bytes: bytes.describe('What may be written before it is lost; null without a limit.'),
    lag_seconds: z
      .number()
      .nullable()
      .describe(
        'From a commit to its confirmation, as Postgres measured it; null where nothing is outstanding.',
      ),
    confirmed_flush_lsn: z.string().nullable(),
    recorded_lsn: z.string().describe('Everything that committed before it is recorded.'),
    last_event_committed_at: timestamp.nullable(),
    recorded_at: timestamp,
    rescan_owed_for: z.string().nullable().describe('Why the outbox has still to be looked through.'),
    audited_at: timestamp.nullable().describe('When the outbox was last compared with its deliveries.'),
  })
  .meta({ id: 'Slot' })

export const replica = z
  .object({
    id: uuid.describe('Made at each start.'),
    host: z.string(),
    version: z.string(),
    role: z.string().describe('starting, streaming, standby or interrupted.'),
    streams: z.boolean(),
    is_gone: z.boolean().describe('It has not been seen for half a minute.'),
    started_at: timestamp,
    seen_at: timestamp,
  })
  .meta({ id: 'Replica' })

export function addSlotRoutes(app: ApiApp, { database, slotName, secondsUntilLost }: SlotPorts): void {
  app.get(
    '/v1/slot',
    {
      config: { scope: 'read', allTenants: true },
      schema: {
        operationId: 'getSlot',
        tags: ['operations'],
        summary: 'How the replication slot is',
        response: { 200: slot },
      },
    },
    async () => {
      const [status, reading] = await Promise.all([
        readSlotStatus(database, slotName),
        readSlotHealth(database, slotName, 0),
      ])
      if (status === undefined || reading === undefined) throw notFound('slot')
      const { risk, cause } = judgeSlot(reading)
      return {
        ...status,
        risk,
        cause: cause ?? null,
        seconds_until_lost: secondsUntilLost() ?? null,
        last_event_committed_at: shownTimeOrNull(status.last_event_committed_at),
        recorded_at: shownTime(status.recorded_at),
        audited_at: shownTimeOrNull(status.audited_at),
      }
    },
  )
  app.get(
    '/v1/replicas',
    {
      config: { scope: 'read', allTenants: true },
      schema: {
        operationId: 'listReplicas',
        tags: ['operations'],
        summary: 'Which processes of Walhook run',
        description: 'Whoever streams first.',
        response: { 200: z.object({ data: z.array(replica), next_cursor: z.null() }) },
      },
    },
    async () => {
      const rows = await listReplicas(database)
      const data = rows.map((row) => ({
        ...row,
        started_at: shownTime(row.started_at),
        seen_at: shownTime(row.seen_at),
      }))
      return { data, next_cursor: null }
    },
  )
}
