/**
 * Signed POSTs from one process that records nothing: what delivery is measured against. By Walhook's own client, and by
 * what a program of one's own would take: `fetch`, and the Standard Webhooks library.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Webhook } from 'standardwebhooks'
import { parseNetwork } from '../../src/core/address-policy.ts'
import { headerNames } from '../../src/core/header-names.ts'
import { requestForm } from '../../src/core/request-form.ts'
import { signers } from '../../src/core/signature.ts'
import { webhookRequest } from '../../src/core/webhook-request.ts'
import { WebhookClient } from '../../src/delivery/webhook-client.ts'
import { answer, clock } from './answering.ts'
import { type EventShape, payloadOf } from './events.ts'

export type PosterAnswers = {
  /** Requests a second. */
  flatOut: number
  flatOutWithFetch: number
  /** Unix milliseconds at which each request was begun, by its id. */
  pace: ReadonlyMap<string, number>
}

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

const loopback = parseNetwork('127.0.0.0/8')
if (loopback === undefined) throw new Error('not a network')
const client = new WebhookClient({ policy: { allowHttp: true, allowNetworks: [loopback] } })
const options = {
  request: requestForm({
    method: 'POST',
    body: 'envelope',
    headers: {},
    forwardHeaders: [],
    headerPrefix: undefined,
  }),
  signers: signers(
    { schemes: ['standard'], hexHeader: undefined, names: headerNames(undefined) },
    { secrets: [SECRET], ed25519Key: undefined },
  ),
}

async function post(url: string, id: string, payload: string): Promise<void> {
  const event = {
    id,
    type: 'bench.event',
    key: null,
    tenant: null,
    payload,
    headers: {},
    timestamp: '2026-01-01T00:00:00.000000Z',
  }
  const facts = { attempt: 1, timestamp: Math.floor(Date.now() / 1000), userAgent: 'walhook-bench' }
  const response = await client.send({ url, ...webhookRequest(event, options, facts) }, { timeoutMs: 15_000 })
  if (response.kind !== 'answered' || response.status !== 204)
    throw new Error(`the receiver answered ${JSON.stringify(response)}`)
}

const webhook = new Webhook(SECRET)

async function postWithFetch(url: string, id: string, payload: string): Promise<void> {
  const now = new Date()
  const body = JSON.stringify({
    id,
    type: 'bench.event',
    timestamp: now.toISOString(),
    data: JSON.parse(payload) as unknown,
  })
  const response = await fetch(url, {
    method: 'POST',
    body,
    headers: {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
      'webhook-signature': webhook.sign(id, now, body),
    },
  })
  await response.arrayBuffer()
  if (response.status !== 204) throw new Error(`the receiver answered ${response.status}`)
}

type Post = typeof post

/** `count` requests, so many at once. */
async function flatOut(
  post: Post,
  url: string,
  count: number,
  atOnce: number,
  shape: EventShape,
): Promise<number> {
  const payload = payloadOf(shape)
  let left = count
  const startedAt = clock()
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (left-- > 0) await post(url, randomUUID(), payload)
    }),
  )
  return count / ((clock() - startedAt) / 1000)
}

async function pace(url: string, perSecond: number, seconds: number): Promise<ReadonlyMap<string, number>> {
  const payload = payloadOf()
  const sentAt = new Map<string, number>()
  const running = []
  const startedAt = clock()
  for (let n = 0; n < perSecond * seconds; n++) {
    const dueInMs = startedAt + (n / perSecond) * 1000 - clock()
    if (dueInMs > 0) await sleep(dueInMs)
    const id = randomUUID()
    sentAt.set(id, clock())
    running.push(post(url, id, payload))
  }
  await Promise.all(running)
  return sentAt
}

answer({
  flatOut: (url: string, count: number, atOnce: number, shape: EventShape) =>
    flatOut(post, url, count, atOnce, shape),
  flatOutWithFetch: (url: string, count: number, atOnce: number, shape: EventShape) =>
    flatOut(postWithFetch, url, count, atOnce, shape),
  pace,
})
