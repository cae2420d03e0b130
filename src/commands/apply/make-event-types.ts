/** Makes the catalog what a file says, type by type, and tells what was done: done within a transaction, so it can be undone. */
import { catalogEntryFault } from '../../core/catalog-entry.ts'
import { changedFields, isSameJson, type PlannedChange } from '../../core/configuration-plan.ts'
import { visibleJson } from '../../core/untrusted-text.ts'
import type { Queryable } from '../../store/database.ts'
import {
  type EventTypeRow,
  listEventTypes,
  lockEventType,
  type NewEventType,
  writeEventType,
} from '../../store/event-types.ts'
import { invalidInput } from '../refusal.ts'
import type { WantedEventType } from './configuration-file.ts'
import { refusedAt } from './refused-at.ts'

export interface MadeEventTypes {
  readonly changes: readonly PlannedChange[]
  /** Names of those that the file does not have. */
  readonly others: readonly string[]
}

export async function makeEventTypes(
  tx: Queryable,
  wanted: readonly WantedEventType[],
): Promise<MadeEventTypes> {
  const there = await listEventTypes(tx)
  const changes: PlannedChange[] = []
  for (const one of wanted) changes.push(await refusedAt(one.places, () => make(tx, one)))
  const names = new Set(wanted.map(({ name }) => name))
  return { changes, others: there.map(({ name }) => name).filter((name) => !names.has(name)) }
}

async function make(tx: Queryable, wanted: WantedEventType): Promise<PlannedChange> {
  const { name, places, description, deprecated } = wanted
  const before = await lockEventType(tx, name)
  const row: NewEventType = {
    name,
    description,
    deprecated,
    schema: textOf(wanted.schema, before?.schema),
    example: textOf(wanted.example, before?.example),
  }
  const fault = catalogEntryFault(row)
  if (fault !== undefined)
    throw invalidInput(`${places.fields.get(fault.field) ?? places.entry}: ${fault.field} ${fault.rule}`)
  const fields = changedFields({ before: fieldsOf(before), after: fieldsOf(row), hidden: new Set() })
  if (before === undefined || fields.length > 0) await writeEventType(tx, row)
  const action = before === undefined ? 'create' : fields.length > 0 ? 'change' : 'unchanged'
  return { action, kind: 'event_type', name, tenant: null, fields, notes: [] }
}

/** JSON text: what stands there where it says the same, so that nothing is written for the spelling's sake. */
function textOf(wanted: unknown, before: string | null | undefined): string | null {
  if (wanted === undefined) return null
  if (typeof before === 'string' && isSameJson(JSON.parse(before), wanted)) return before
  return visibleJson(wanted)
}

function fieldsOf(row: NewEventType | EventTypeRow | undefined): Readonly<Record<string, unknown>> {
  const value = (text: string | null | undefined): unknown =>
    text == null ? null : (JSON.parse(text) as unknown)
  return {
    description: row?.description ?? null,
    schema: value(row?.schema),
    example: value(row?.example),
    deprecated: row?.deprecated ?? false,
  }
}
