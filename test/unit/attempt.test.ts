/** One attempt, from its delivery to what is recorded of it. */
import { describe, expect, test } from 'vitest'
import { ERROR_CLASSES, type WebhookResponse } from '../../src/core/attempt-outcome.ts'
import type { Subscription } from '../../src/core/subscription.ts'
import { attempt, type AttemptPorts } from '../../src/delivery/attempt.ts'
import type { HeldDelivery, Parcel } from '../../src/delivery/held-delivery.ts'
import type { OutgoingRequest } from '../../src/delivery/webhook-client.ts'
import type { Settlement } from '../../src/store/settlement.ts'
import { aHeldDelivery } from './a-held-delivery.ts'
import { aSubscription } from './a-subscription.ts'

const MARGIN_MS = 2_000
const UNIX_MS = Date.parse('2026-11-22T15:30:09.999Z')
const SUBSCRIPTION = aSubscription({
  id: 'a',
  url: 'https://example.com/hook?x=1',
  timeoutMs: 15_000,
  retry: { delaysMs: [5_000, 60_000], retryOn: 'any' },
})

const answered = (
  status: number,
  more: Partial<WebhookResponse & { kind: 'answered' }> = {},
): WebhookResponse => ({
  kind: 'answered',
  status,
  retryAfter: undefined,
  body: 'thanks',
  ...more,
})

/** What an attempt did. */
async function attempted(
  options: {
    readonly subscription?: Partial<Subscription> | undefined
    readonly response?: WebhookResponse
    /** Of the endpoint, to being asked for its consent. */
    readonly answer?: Subscription['consent']
    readonly delivery?: Partial<HeldDelivery>
    /** That go in the same request. */
    readonly fellows?: readonly HeldDelivery[]
    readonly now?: number
  } = {},
) {
  const subscription =
    'subscription' in options && options.subscription === undefined
      ? undefined
      : { ...SUBSCRIPTION, ...options.subscription }
  const delivery = aHeldDelivery('a', { id: '77', ...options.delivery })
  const parcel: Parcel = [delivery, ...(options.fellows ?? [])]
  const did = {
    delivery,
    loaded: [] as unknown[],
    asked: [] as unknown[],
    sent: [] as { request: OutgoingRequest; timeoutMs: number; signal: AbortSignal }[],
    recorded: [] as Settlement[],
    returned: [] as HeldDelivery[],
    expired: [] as HeldDelivery[],
    outcome: undefined as Awaited<ReturnType<typeof attempt>>,
  }
  let now = options.now ?? 1_000
  const ports: AttemptPorts = {
    known: () => undefined,
    load: async (id, deadline) => {
      did.loaded.push({ id, deadline })
      return subscription
    },
    seekConsent: async (awaiting, deadline) => {
      did.asked.push({ id: awaiting.id, deadline })
      return { ...awaiting, consent: options.answer ?? 'awaited' }
    },
    send: async (request, { timeoutMs, signal }) => {
      did.sent.push({ request, timeoutMs, signal })
      now += 120
      return options.response ?? answered(204)
    },
    watch: () => ({ traceparent: undefined, ended: () => undefined }),
    record: (settlement, of) => {
      expect(of).toBe(parcel[did.recorded.length])
      did.recorded.push(settlement)
    },
    giveBack: (deliveries) => void did.returned.push(...deliveries),
    expire: async (deliveries) => void did.expired.push(...deliveries),
    userAgent: 'walhook/1.2.3',
    signal: new AbortController().signal,
    now: () => now,
    clock: () => UNIX_MS,
    random: () => 0.5,
    batchId: () => 'a new batch',
  }
  did.outcome = await attempt(parcel, ports)
  return did
}

test('what cannot be signed is not sent, not recorded and given back, with all of its endpoint withheld', async () => {
  const { delivery, outcome, sent, recorded, returned } = await attempted({
    subscription: { signers: undefined },
  })
  expect({ outcome, sent, recorded, returned }).toEqual({
    outcome: 'withheld',
    sent: [],
    recorded: [],
    returned: [delivery],
  })
})

test('what is accepted is recorded as delivered, under its lease', async () => {
  const { outcome, recorded, returned } = await attempted({ delivery: { heldUntil: 'then' } })
  expect(outcome).toEqual({ kind: 'delivered', status: 204 })
  expect(recorded).toEqual([
    {
      deliveryId: '77',
      subscriptionId: 'a',
      heldUntil: 'then',
      state: 'delivered',
      retryAfterMs: undefined,
      durationMs: 120,
      status: 204,
      error: undefined,
      responseBody: 'thanks',
      disables: undefined,
      isOperatorEvent: false,
    },
  ])
  expect(returned).toEqual([])
})

test('the request goes to the subscription as it is now, signed and numbered', async () => {
  const { sent, delivery } = await attempted({ delivery: { attempt: 3 } })
  expect(sent).toHaveLength(1)
  expect(sent[0]).toMatchObject({
    timeoutMs: 15_000,
    request: {
      url: SUBSCRIPTION.url,
      method: 'POST',
      headers: {
        'webhook-id': delivery.event.id,
        'webhook-timestamp': String(Math.floor(UNIX_MS / 1000)),
        'webhook-signature': expect.stringMatching(/^v1,/) as string,
        'walhook-attempt': '3',
        'user-agent': 'walhook/1.2.3',
      },
    },
  })
})

describe('what fails', () => {
  test('is recorded with what was said and when it is tried again', async () => {
    const response = answered(500, { body: 'no', bodyError: 'response_too_large' })
    const { outcome, recorded } = await attempted({ response })
    expect(outcome).toMatchObject({ kind: 'rejected', status: 500 })
    expect(recorded).toMatchObject([
      { state: 'pending', retryAfterMs: 5_000, status: 500, error: 'response_too_large', responseBody: 'no' },
    ])
  })

  test('waits as long as the endpoint asks, within the schedule', async () => {
    const { recorded } = await attempted({ response: answered(429, { retryAfter: '30' }) })
    expect(recorded).toMatchObject([{ state: 'pending', retryAfterMs: 30_000 }])
  })

  test('follows the schedule by the attempts of this schedule, not of one before a resend', async () => {
    const second = await attempted({ response: answered(500), delivery: { attempt: 2 } })
    expect(second.recorded).toMatchObject([{ state: 'pending', retryAfterMs: 60_000 }])
    const last = await attempted({ response: answered(500), delivery: { attempt: 3 } })
    expect(last.recorded).toMatchObject([{ state: 'dead', retryAfterMs: undefined, disables: undefined }])
    const resent = await attempted({ response: answered(500), delivery: { attempt: 4, scheduleFrom: 3 } })
    expect(resent.recorded).toMatchObject([{ state: 'pending', retryAfterMs: 5_000 }])
  })

  test('for good, disables the subscription where the endpoint says that it is gone', async () => {
    const { outcome, recorded } = await attempted({ response: answered(410) })
    expect(outcome).toEqual({ kind: 'gone', status: 410 })
    expect(recorded).toMatchObject([{ state: 'dead', status: 410, disables: 'gone' }])
  })

  test('is dead at once where only transient failures are retried and this is none', async () => {
    const retry = { ...SUBSCRIPTION.retry, retryOn: 'transient' } as const
    const { recorded } = await attempted({ response: answered(422), subscription: { retry } })
    expect(recorded).toMatchObject([{ state: 'dead', status: 422, disables: undefined }])
  })

  test.each(ERROR_CLASSES.filter((error) => error !== 'aborted'))('without a status: %s', async (error) => {
    const isFinal = error === 'address_denied' || error === 'invalid_url'
    const { recorded } = await attempted({ response: { kind: 'failed', error } })
    expect(recorded).toMatchObject([
      { state: isFinal ? 'dead' : 'pending', status: undefined, error, responseBody: undefined },
    ])
  })
})

describe('an event that is older than its ttl', () => {
  const ageMs = UNIX_MS - Date.parse('2026-11-22T15:30:09.123456Z')

  test('is not sent, and expires', async () => {
    const { delivery, ...did } = await attempted({ subscription: { ttlMs: ageMs - 1 } })
    expect(did).toMatchObject({
      outcome: undefined,
      sent: [],
      recorded: [],
      returned: [],
      expired: [delivery],
    })
  })

  test('is sent where it is just young enough', async () => {
    const { sent, expired } = await attempted({ subscription: { ttlMs: ageMs } })
    expect({ sent: sent.length, expired }).toEqual({ sent: 1, expired: [] })
  })
})

describe('a delivery that was cancelled while it was held', () => {
  test('is not sent', async () => {
    const { delivery, outcome, sent, returned } = await attempted({
      subscription: { cancelled: new Set(['77']) },
    })
    expect({ outcome, sent, returned }).toEqual({ outcome: undefined, sent: [], returned: [delivery] })
  })

  test('is left out of its batch, and the others go', async () => {
    const batch = { maxEvents: 10, maxWaitMs: 0 }
    const fellow = aHeldDelivery('a', { id: '78' })
    const { delivery, sent, recorded, returned } = await attempted({
      subscription: { cancelled: new Set(['78']), batch },
      fellows: [fellow],
    })
    expect({ sent: sent.length, returned }).toEqual({ sent: 1, returned: [fellow] })
    expect(recorded.map(({ deliveryId }) => deliveryId)).toEqual([delivery.id])
  })
})

describe('what an endpoint asks for', () => {
  test('disable: the outcome stands, and the subscription is disabled', async () => {
    const accepted = await attempted({ response: answered(200, { asks: 'disable' }) })
    expect(accepted.recorded).toMatchObject([{ state: 'delivered', disables: 'asked' }])
    const refused = await attempted({ response: answered(500, { asks: 'disable' }) })
    expect(refused.recorded).toMatchObject([{ state: 'pending', retryAfterMs: 5_000, disables: 'asked' }])
  })

  test('abort: this delivery is dead, for that reason', async () => {
    const { recorded } = await attempted({ response: answered(500, { asks: 'abort' }) })
    expect(recorded).toMatchObject([
      { state: 'dead', status: 500, error: 'aborted_by_endpoint', disables: undefined },
    ])
  })
})

describe('no attempt is made, and the delivery is given back', () => {
  const enough = { leaseEndsAt: 100_000 }
  test.each([
    ['where the subscription was deleted', { subscription: undefined }],
    ['while it is paused', { subscription: { state: 'paused' } }],
    ['while it is disabled', { subscription: { state: 'disabled' } }],
    ['where it could outlast its lease', { delivery: enough, now: 100_000 - 15_000 - MARGIN_MS + 1 }],
    ['where its lease has lapsed', { delivery: enough, now: 200_000 }],
  ] as const)('%s', async (_what, options) => {
    const { outcome, sent, recorded, returned, delivery } = await attempted(options)
    expect(outcome).toBeUndefined()
    expect(sent).toEqual([])
    expect(recorded).toEqual([])
    expect(returned).toEqual([delivery])
  })

  test('but it is made where it just fits', async () => {
    const { sent } = await attempted({ delivery: enough, now: 100_000 - 15_000 - MARGIN_MS })
    expect(sent).toHaveLength(1)
  })
})

test('the subscription is waited for no longer than an attempt could still be made', async () => {
  const { loaded } = await attempted({ delivery: { leaseEndsAt: 60_000 } })
  expect(loaded).toEqual([{ id: 'a', deadline: 60_000 - MARGIN_MS }])
})

describe('the consent of an endpoint', () => {
  test('is sought where it is awaited, and what it allows is sent', async () => {
    const { asked, sent } = await attempted({
      subscription: { consent: 'awaited' },
      answer: 'given',
      delivery: { leaseEndsAt: 60_000 },
    })
    expect(asked).toEqual([{ id: 'a', deadline: 60_000 - MARGIN_MS }])
    expect(sent).toHaveLength(1)
  })

  test('that is not given keeps what waits', async () => {
    const { outcome, sent, returned, delivery } = await attempted({ subscription: { consent: 'awaited' } })
    expect(outcome).toBe('withheld')
    expect(sent).toEqual([])
    expect(returned).toEqual([delivery])
  })

  test.each(['not_needed', 'given'] as const)('is not sought where it is %s', async (consent) => {
    const { asked, sent } = await attempted({ subscription: { consent } })
    expect(asked).toEqual([])
    expect(sent).toHaveLength(1)
  })
})

test('an attempt that our own stop cut short is not counted: nobody knows what came of it', async () => {
  const { outcome, recorded, returned, delivery } = await attempted({
    response: { kind: 'failed', error: 'aborted' },
  })
  expect(outcome).toBeUndefined()
  expect(recorded).toEqual([])
  expect(returned).toEqual([delivery])
})

describe('a batch', () => {
  const batching = { subscription: { batch: { maxEvents: 10, maxWaitMs: 1_000 } } }
  const fellows = [aHeldDelivery('a', { id: '78' }), aHeldDelivery('a', { id: '79' })]

  test('is one request, and an outcome for each of its deliveries, with one time for the retry', async () => {
    const { sent, recorded } = await attempted({ ...batching, fellows, response: answered(503) })
    expect(sent).toHaveLength(1)
    expect(sent[0]?.request.headers).toMatchObject({
      'webhook-id': 'a new batch',
      'walhook-event-type': 'batch',
    })
    const batch = { id: 'a new batch', size: 3 }
    expect(recorded).toMatchObject([
      { deliveryId: '77', state: 'pending', retryAfterMs: 5_000, batch },
      { deliveryId: '78', state: 'pending', retryAfterMs: 5_000, batch },
      { deliveryId: '79', state: 'pending', retryAfterMs: 5_000, batch },
    ])
  })

  test('is the form of a single event, too, where the subscription batches', async () => {
    const { sent, recorded } = await attempted(batching)
    expect(sent[0]?.request.headers['walhook-event-type']).toBe('batch')
    expect(recorded).toMatchObject([{ state: 'delivered', batch: { id: 'a new batch', size: 1 } }])
  })

  test('that comes back whole keeps its id, and a part of it gets another', async () => {
    const batch = { id: 'as before', size: 2 }
    const fellow = aHeldDelivery('a', { batch })
    const whole = await attempted({ ...batching, delivery: { batch }, fellows: [fellow] })
    expect(whole.recorded).toMatchObject([{ batch }, { batch }])
    const part = await attempted({ ...batching, delivery: { batch } })
    expect(part.recorded).toMatchObject([{ batch: { id: 'a new batch', size: 1 } }])
  })

  test('is not sent where the subscription no longer wants one, nor where one lease of it is too short', async () => {
    const unwanted = await attempted({ fellows })
    const short = await attempted({
      ...batching,
      fellows: [...fellows, aHeldDelivery('a', { leaseEndsAt: 10_000 })],
    })
    for (const { delivery, sent, returned, outcome } of [unwanted, short]) {
      expect(outcome).toBeUndefined()
      expect(sent).toEqual([])
      expect(returned.slice(0, 3)).toEqual([delivery, ...fellows])
    }
  })

  test('of one that is left goes as that event, where the subscription no longer batches', async () => {
    const { sent, recorded, delivery } = await attempted({
      delivery: { batch: { id: 'as before', size: 1 } },
    })
    expect(sent[0]?.request.headers['webhook-id']).toBe(delivery.event.id)
    expect(recorded).toMatchObject([{ state: 'delivered', batch: undefined }])
  })
})
