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
export const WHICH = "the subscription's id, or its name"

/** Errors: `not_found`; `invalid_input` where several tenants have one of that name. */
export async function meantBy(db: Queryable, text: string): Promise<SubscriptionOverview> {
  if (UUID.test(text)) return found(await findSubscriptionById(db, text.toLowerCase(), null), text)
  const named = await listSubscriptions(db, null, { name: text, limit: 2 })
  if (named.length > 1)
    throw invalidInput(
      `several tenants have a subscription with the name ${visible(text)}`,
      'Name it by its id: `walhook subscriptions list --name …`.',
    )
  return found(named[0], text)
}

function found(overview: SubscriptionOverview | undefined, text: string): SubscriptionOverview {
  if (overview !== undefined) return overview
  throw new WalhookError('not_found', `there is no subscription ${visible(text)}`)
}

/** How a sentence speaks of it. */
export function calledBy({ id, name }: Pick<SubscriptionOverview, 'id' | 'name'>): string {
  return name === null ? `subscription ${id}` : `subscription ${visible(name)} (${id})`
}
