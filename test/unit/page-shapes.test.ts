/**
 * What the page reads is what the API answers: checked by the compiler. A schema that loses or changes a member that the page
 * reads makes one of these lines an error of types.
 */
import { expectTypeOf, test } from 'vitest'
import type { z } from 'zod'
import type { apiKey } from '../../src/api/api-keys.ts'
import type { delivery, deliveryWithAttempts } from '../../src/api/delivery-schemas.ts'
import type { eventType } from '../../src/api/event-types.ts'
import type { event, match, wholeEvent } from '../../src/api/events.ts'
import type { me } from '../../src/api/me.ts'
import type { resent } from '../../src/api/resend-many.ts'
import type { replica, slot } from '../../src/api/slot.ts'
import type { stats } from '../../src/api/stats.ts'
import type { testOutcome, triedEvent } from '../../src/api/subscription-actions.ts'
import type { subscription } from '../../src/api/subscription-schemas.ts'
import type * as page from '../../src/dashboard/page/shapes.ts'

type Answered<Schema extends z.ZodType> = z.output<Schema>

test('the API answers no less than the page reads', () => {
  expectTypeOf<Answered<typeof me>>().toExtend<page.Me>()
  expectTypeOf<Answered<typeof subscription>>().toExtend<page.Subscription>()
  expectTypeOf<Answered<typeof testOutcome>>().toExtend<page.TestOutcome>()
  expectTypeOf<Answered<typeof triedEvent>>().toExtend<page.TriedEvent>()
  expectTypeOf<Answered<typeof delivery>>().toExtend<page.Delivery>()
  expectTypeOf<Answered<typeof deliveryWithAttempts>>().toExtend<page.DeliveryWithAttempts>()
  expectTypeOf<Answered<typeof event>>().toExtend<page.OutboxEvent>()
  expectTypeOf<Answered<typeof wholeEvent>>().toExtend<page.OutboxEvent>()
  expectTypeOf<Answered<typeof resent>>().toExtend<page.Resent>()
  expectTypeOf<Answered<typeof match>>().toExtend<page.EventMatch>()
  expectTypeOf<Answered<typeof eventType>>().toExtend<page.EventType>()
  expectTypeOf<Answered<typeof stats>>().toExtend<page.Stats>()
  expectTypeOf<Answered<typeof slot>>().toExtend<page.Slot>()
  expectTypeOf<Answered<typeof replica>>().toExtend<page.Replica>()
  expectTypeOf<Answered<typeof apiKey>>().toExtend<page.ApiKey>()
})
