/** Which subscription a person means: by its id, or by its name where no other has it. */
import { visible } from '../../core/untrusted-text.ts'
import { WalhookError } from '../../lifecycle/errors.ts'
import type { Queryable } from '../../store/database.ts'
import {
  findSubscriptionById,
  listSubscriptions,
  type SubscriptionOverview,
} from '../../store/subscription-overviews.ts'
import { invalidInput } from '../refusal.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** The help of every command that takes one. */
export const WHICH = "the subscription's id, its name, or its tenant/name"

/** A name alone means the one without a tenant, where several have it. More are not looked through. */
const MOST_NAMESAKES = 1_000

/** Errors: `not_found`; `invalid_input` where it may mean several. */
export async function meantBy(db: Queryable, text: string): Promise<SubscriptionOverview> {
  if (UUID.test(text)) return found(await findSubscriptionById(db, text.toLowerCase(), null), text)
  const named = await namesakes(db, null, text)
  const [first, second] = named
  if (second === undefined) return first ?? found(await ofTenant(db, text), text)
  const withoutTenant = named.find(({ tenant }) => tenant === null)
  if (withoutTenant !== undefined) return withoutTenant
  throw invalidInput(
    `several tenants have a subscription with the name ${visible(text)}`,
    `Name it as tenant/${visible(text)}, or by its id.`,
  )
}

/** `acme/accounting`; either part may have a slash in it. */
async function ofTenant(db: Queryable, text: string): Promise<SubscriptionOverview | undefined> {
  for (const { index } of text.matchAll(/\//g)) {
    const [one] = await namesakes(db, text.slice(0, index), text.slice(index + 1))
    if (one !== undefined) return one
  }
  return undefined
}

function namesakes(
  db: Queryable,
  tenant: string | null,
  name: string,
): Promise<readonly SubscriptionOverview[]> {
  return listSubscriptions(db, tenant, { name, limit: MOST_NAMESAKES })
}

function found(overview: SubscriptionOverview | undefined, text: string): SubscriptionOverview {
  if (overview !== undefined) return overview
  throw new WalhookError('not_found', `there is no subscription ${visible(text)}`)
}

/** How a sentence speaks of it. */
export function calledBy({ id, name }: Pick<SubscriptionOverview, 'id' | 'name'>): string {
  return name === null ? `subscription ${id}` : `subscription ${visible(name)} (${id})`
}
