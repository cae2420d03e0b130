/** Subscriptions in requests and answers. What can stand in an option is the database's to say; here stands which form it has. */
import { z } from 'zod'
import { SUBSCRIPTION_STATES, type SubscriptionOverview } from '../store/subscription-overviews.ts'
import { bigintId, tenantName, text, timestamp, uuid } from './schemas.ts'

const patterns = z.array(text(255)).describe('Patterns: order.created, order.* (any depth) or *.')
const duration = text(20).meta({ examples: ['10s'] })
const headers = z.record(text(128), text(8_192))

const batch = z.strictObject({
  max_events: z.int().min(1).max(1_000).optional().describe('Default 100.'),
  max_wait: duration.optional().describe('From the first event to the request, at most 30s; default 5s.'),
})

/** Without what is secret. Null makes an option what it is by default. */
const plainOptions = {
  name: text(100).nullish().describe('What people call it; unique within its tenant.'),
  tenant: tenantName.nullish().describe("Only this tenant's events. A tenant's key need not give it."),
  description: text(10_000, 0).nullish().describe('For people.'),
  event_types: patterns.nullish(),
  filter: text(10_000)
    .nullish()
    .describe('SQL/JSON path predicate over the payload; null lets every event pass.')
    .meta({ examples: ['$.amount > 100'] }),
  timeout: duration.nullish().describe('How long one attempt may take, 100ms to 30s; by default 15s.'),
  retry_schedule: z
    .array(duration)
    .nullish()
    .describe('Delays between attempts; by default 5s, 5m, 30m, 2h, 5h, 10h, 14h, 20h, 24h.'),
  retry_on: z.enum(['any', 'transient']).nullish(),
  method: z.enum(['POST', 'PUT']).nullish(),
  body: z.enum(['envelope', 'payload', 'cloudevents', 'cloudevents-binary', 'cloudevents-batch']).nullish(),
  headers: headers
    .nullish()
    .describe('Headers of your own. In a change, … as a value stands for the one that is there.'),
  forward_headers: z.array(text(128)).nullish().describe("Names in the events' headers that are sent on."),
  signature: z
    .array(z.enum(['standard', 'standard-ed25519', 'github', 'stripe', 'hex', 'none']))
    .nullish()
    .describe('How requests are signed; by default standard.'),
  signature_header: text(128).nullish().describe('Where a hex signature stands.'),
  header_prefix: text(40).nullish().describe('In place of webhook- and walhook-.'),
  handshake: z.boolean().nullish().describe('Nothing is sent before the endpoint consents.'),
  batch: batch.nullish().describe('Collects events into one request.'),
  ordering: z.enum(['none', 'key']).nullish(),
  on_dead: z.enum(['block', 'skip']).nullish(),
  rate_limit: text(40)
    .nullish()
    .describe('Over all replicas.')
    .meta({ examples: ['10/s burst 50'] }),
  max_in_flight: z.int().min(1).max(10_000).nullish(),
  ttl: duration.nullish().describe('Older events are cancelled and not sent.'),
  disable_after: duration.nullish().describe('Failing for so long disables it; by default 5d.'),
}

const secretOptions = {
  ed25519_key: text(200).nullish().describe('A private key, whsk_ and base64. Never shown again.'),
  auth: z
    .record(text(100), z.unknown())
    .nullish()
    .describe('Credentials: {"type":"bearer","token":"…"}. Never shown again.'),
  tls: z
    .record(text(100), text(65_536))
    .nullish()
    .describe('Certificates, each PEM: {"ca":"…","cert":"…","key":"…"}. Never shown again.'),
}

const url = text(2_048)
  .describe('Where to POST; https, unless the operator allows http.')
  .meta({ examples: ['https://example.com/webhooks'] })
const secret = text(255).describe('whsec_ and base64, or any text for github, stripe and hex.')

export const newSubscription = z
  .strictObject({
    url,
    secret: secret.nullish().describe('By default a fresh one.'),
    ...plainOptions,
    ...secretOptions,
  })
  .meta({
    id: 'NewSubscription',
    examples: [{ url: 'https://example.com/webhooks', event_types: ['order.*'], name: 'accounting' }],
  })

export const subscriptionChanges = z
  .strictObject({ url: url.optional(), ...plainOptions, ...secretOptions })
  .meta({ id: 'SubscriptionChanges', examples: [{ timeout: '5s', ttl: null }] })

export const attemptOutcome = z
  .object({
    delivery_id: bigintId,
    attempt: z.int(),
    at: timestamp,
    duration_ms: z.int(),
    status: z.int().nullable(),
    error: z.string().nullable().describe('Error class.'),
    outcome: z.enum(['delivered', 'failed']),
  })
  .meta({ id: 'AttemptOutcome' })

export const subscription = z
  .object({
    id: uuid,
    name: z.string().nullable(),
    tenant: z.string().nullable(),
    url: z.string(),
    description: z.string().nullable(),
    event_types: z.array(z.string()),
    filter: z.string().nullable(),
    state: z.enum(SUBSCRIPTION_STATES),
    state_reason: z.string().nullable(),
    secret_preview: z
      .string()
      .describe('The last characters of the signing secret; nothing of one that is short.'),
    previous_secret_until: timestamp.nullable().describe('Until when the secret before it signs too.'),
    ed25519_public_key: z.string().nullable(),
    method: z.string(),
    body: z.string(),
    headers: z
      .record(z.string(), z.string())
      .describe('With … in place of each value whose name sounds like a secret.'),
    forward_headers: z.array(z.string()),
    signature: z.array(z.string()),
    signature_header: z.string().nullable(),
    header_prefix: z.string().nullable(),
    has_auth: z.boolean(),
    has_tls: z.boolean(),
    handshake: z.boolean(),
    batch: z.object({ max_events: z.int().optional(), max_wait: z.string().optional() }).nullable(),
    ordering: z.string(),
    on_dead: z.string(),
    rate_limit: z.string().nullable(),
    max_in_flight: z.int().nullable(),
    timeout: z.string(),
    retry_schedule: z.array(z.string()),
    retry_on: z.string(),
    ttl: z.string().nullable(),
    disable_after: z.string(),
    signs_as: uuid
      .nullable()
      .describe('Whose keys it signs with, where a replay made it to stand for another one.'),
    created_at: timestamp,
    updated_at: timestamp,
    health: z
      .object({
        failing_since: timestamp.nullable(),
        failures_in_a_row: z.int(),
        failure_rate_7d: z
          .number()
          .min(0)
          .max(1)
          .nullable()
          .describe("The share of the last seven days' attempts that failed; null where there were none."),
        pending: z.int().describe('Deliveries that are owed; 10000 stands for that many or more.'),
        dead: z.int().describe('Dead letters; 10000 stands for that many or more.'),
        oldest_pending_at: timestamp.nullable(),
        last_delivered_at: timestamp.nullable().describe('Of its newest 1,000 deliveries.'),
      })
      .meta({ id: 'SubscriptionHealth' }),
    recent: z.array(attemptOutcome).describe('Its last 20 attempts, the newest first.'),
  })
  .meta({ id: 'Subscription' })

export const createdSubscription = subscription
  .extend({ secret: z.string().describe('The signing secret. It is shown this once.') })
  .meta({ id: 'CreatedSubscription' })

/** What the serializer takes. */
export type ShownSubscription = z.output<typeof subscription>

export function shownSubscription(overview: SubscriptionOverview): ShownSubscription {
  return {
    ...overview,
    event_types: [...overview.event_types],
    forward_headers: [...overview.forward_headers],
    signature: [...overview.signature],
    retry_schedule: [...overview.retry_schedule],
    recent: [...overview.recent],
  }
}
