/** Makes subscriptions what a file says, one by one, and tells what was done: done within a transaction, so it can be undone. */
import { changedFields, type PlannedChange } from '../../core/configuration-plan.ts'
import type { KeyRing } from '../../core/key-ring.ts'
import { SECRET_OPTIONS, SHOWN_OPTIONS, type SubscriptionOptions } from '../../core/subscription-options.ts'
import {
  type ConfiguredSubscription,
  listIdentities,
  readConfigured,
  type SubscriptionIdentity,
} from '../../store/configured-subscriptions.ts'
import type { Queryable } from '../../store/database.ts'
import { changeSubscription, createSubscription, rotateSecret } from '../../store/subscription-changes.ts'
import { invalidInput } from '../refusal.ts'
import { compareSecret } from './compare-secret.ts'
import type { WantedSubscription } from './configuration-file.ts'
import { refusedAt } from './refused-at.ts'

export interface MadeSubscription {
  readonly change: PlannedChange
  /** For a fresh one that the file gave none: shown once. */
  readonly fresh: { readonly id: string; readonly secret: string } | undefined
}

export interface MadeSubscriptions {
  readonly made: readonly MadeSubscription[]
  /** That the file does not have. */
  readonly others: readonly SubscriptionIdentity[]
}

export async function makeSubscriptions(
  tx: Queryable,
  ring: KeyRing,
  wanted: readonly WantedSubscription[],
): Promise<MadeSubscriptions> {
  const there = await listIdentities(tx, null)
  const byId = new Map(there.map((one) => [one.id, one]))
  const byName = new Map(there.map((one) => [nameKey(one.name, one.tenant), one]))
  const meant = new Set<SubscriptionIdentity>()
  const made: MadeSubscription[] = []
  for (const one of wanted) {
    const existing =
      one.id === undefined ? byName.get(nameKey(one.name ?? null, one.tenant)) : byId.get(one.id)
    if (existing === undefined && one.id !== undefined)
      throw invalidInput(
        `${one.places.fields.get('id')}: there is no subscription with this id`,
        'Give it a name in its place: then it is made.',
      )
    if (existing !== undefined && meant.has(existing))
      throw invalidInput(`${one.places.entry}: another entry means the same subscription`)
    if (existing !== undefined) meant.add(existing)
    made.push(
      await refusedAt(one.places, () =>
        existing === undefined ? create(tx, one) : change(tx, ring, existing, one),
      ),
    )
  }
  return { made, others: there.filter((one) => !meant.has(one)) }
}

async function create(tx: Queryable, wanted: WantedSubscription): Promise<MadeSubscription> {
  const { options, secret, hidden, name, tenant } = wanted
  const { id, secret: fresh } = await createSubscription(tx, options, secret)
  const { options: after, maskedHeaders } = await configured(tx, id)
  const said = SHOWN_OPTIONS.filter((option) => option !== 'name' && options[option] !== null)
  const given = [
    ...(secret === undefined ? [] : ['secret']),
    ...SECRET_OPTIONS.filter((option) => options[option] != null),
  ]
  const fields = said.map((field) => ({
    field,
    before: undefined,
    after: hidden.has(field) ? undefined : field === 'headers' ? maskedHeaders : after[field],
    isHidden: hidden.has(field),
  }))
  return {
    change: {
      action: 'create',
      kind: 'subscription',
      name: name ?? id,
      tenant,
      fields: [...fields, ...given.map(hiddenField)],
      notes: [],
    },
    fresh: secret === undefined ? { id, secret: fresh } : undefined,
  }
}

async function change(
  tx: Queryable,
  ring: KeyRing,
  { id }: SubscriptionIdentity,
  wanted: WantedSubscription,
): Promise<MadeSubscription> {
  const before = await configured(tx, id)
  const { changes, secretFields, notes, isNewSecret } = secretsToChange(ring, id, before, wanted)
  await changeSubscription(tx, id, null, { ...withoutSecrets(wanted.options), ...changes })
  if (isNewSecret) await rotateSecret(tx, id, null, { secret: wanted.secret })
  const after = await configured(tx, id)
  const fields = changedFields({
    before: shownOf(before.options),
    after: shownOf(after.options),
    shown: {
      before: { ...before.options, headers: before.maskedHeaders },
      after: { ...after.options, headers: after.maskedHeaders },
    },
    hidden: wanted.hidden,
  })
  const all = [...fields, ...secretFields.map(hiddenField)]
  return {
    change: {
      action: all.length === 0 ? 'unchanged' : 'change',
      kind: 'subscription',
      name: wanted.name ?? id,
      tenant: wanted.tenant,
      fields: all,
      notes,
    },
    fresh: undefined,
  }
}

interface SecretChanges {
  readonly changes: SubscriptionOptions
  readonly secretFields: readonly string[]
  readonly notes: readonly string[]
  readonly isNewSecret: boolean
}

/** What the file does not speak of stays; what cannot be compared stays too, or each time would be a change. */
function secretsToChange(
  ring: KeyRing,
  id: string,
  { secrets }: ConfiguredSubscription,
  { options, secret }: WantedSubscription,
): SecretChanges {
  const changes: Record<string, unknown> = {}
  const secretFields: string[] = []
  const notes: string[] = []
  const isAnother = (column: 'secret' | (typeof SECRET_OPTIONS)[number], wanted: unknown): boolean => {
    const compared = compareSecret(ring, { id, column, text: secrets[column] }, wanted)
    if (compared === 'unreadable')
      notes.push(
        `${column} is sealed and cannot be compared without WALHOOK_ENCRYPTION_KEY: it is left as it is`,
      )
    if (compared === 'another') secretFields.push(column)
    return compared === 'another'
  }
  const isNewSecret = secret !== undefined && isAnother('secret', secret)
  for (const column of SECRET_OPTIONS) {
    const wanted = options[column]
    if (wanted !== undefined && isAnother(column, wanted)) changes[column] = wanted
  }
  return { changes, secretFields, notes, isNewSecret }
}

function withoutSecrets(options: SubscriptionOptions): SubscriptionOptions {
  return Object.fromEntries(SHOWN_OPTIONS.map((name) => [name, options[name] ?? null]))
}

function shownOf(options: ConfiguredSubscription['options']): Readonly<Record<string, unknown>> {
  return Object.fromEntries(SHOWN_OPTIONS.map((name) => [name, options[name]]))
}

function hiddenField(field: string): PlannedChange['fields'][number] {
  return { field, before: undefined, after: undefined, isHidden: true }
}

async function configured(tx: Queryable, id: string): Promise<ConfiguredSubscription> {
  const found = await readConfigured(tx, id)
  if (found === undefined) throw invalidInput(`subscription ${id} was deleted meanwhile`, 'Try again.')
  return found
}

function nameKey(name: string | null, tenant: string | null): string {
  return `${tenant === null ? '' : 't'}${tenant ?? ''}\0${name ?? ''}`
}
