/** What has to be done so that things are as a file says: which are made, changed, left and deleted, and in which fields. Pure. */

export type Kind = 'subscription' | 'event_type'

export interface FieldChange {
  readonly field: string
  /** Undefined where nothing of it may be shown. */
  readonly before: unknown
  readonly after: unknown
  readonly isHidden: boolean
}

export interface PlannedChange {
  readonly action: 'create' | 'change' | 'unchanged' | 'delete'
  readonly kind: Kind
  /** What people call it; of a subscription without a name, its id. */
  readonly name: string
  readonly tenant: string | null
  readonly fields: readonly FieldChange[]
  /** What could not be looked at. */
  readonly notes: readonly string[]
}

export type Fields = Readonly<Record<string, unknown>>

export interface Comparison {
  readonly before: Fields
  readonly after: Fields
  /** How `before` and `after` are shown, where that is not as they are. */
  readonly shown?: { readonly before: Fields; readonly after: Fields }
  /** Fields whose values nobody may see. */
  readonly hidden: ReadonlySet<string>
}

/** Those that differ, in the order of `after`. */
export function changedFields({ before, after, shown, hidden }: Comparison): readonly FieldChange[] {
  return Object.keys(after)
    .filter((field) => !isSameJson(before[field], after[field]))
    .map((field) => {
      const isHidden = hidden.has(field)
      return {
        field,
        before: isHidden ? undefined : (shown?.before ?? before)[field],
        after: isHidden ? undefined : (shown?.after ?? after)[field],
        isHidden,
      }
    })
}

export function isNothingToDo(plan: readonly PlannedChange[]): boolean {
  return plan.every(({ action }) => action === 'unchanged')
}

/** Whether what was shown is what would be done now. */
export function isSamePlan(shown: readonly PlannedChange[], now: readonly PlannedChange[]): boolean {
  return isSameJson(shown, now)
}

export function countOf(plan: readonly PlannedChange[], action: PlannedChange['action']): number {
  return plan.filter((change) => change.action === action).length
}

/** Whether two values are the same JSON: the order of an object's members says nothing. */
export function isSameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const [left, right] = [membersOf(a), membersOf(b)]
  return (
    left.length === right.length &&
    left.every(([key, value]) => Object.hasOwn(b, key) && isSameJson(value, Reflect.get(b, key)))
  )
}

/** What JSON does not have, an object does not have either. */
function membersOf(value: object): readonly (readonly [string, unknown])[] {
  return Object.entries(value).filter(([, member]) => member !== undefined)
}
