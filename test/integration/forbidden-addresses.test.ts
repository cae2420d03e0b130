/**
 * The table of addresses against real sockets: whatever a URL says and a name server answers, no connection is so much as
 * tried to an address that is not allowed. 127.0.0.1 stands for the public; on the rest of loopback, sentries listen.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { parseNetwork } from '../../src/core/address-policy.ts'
import type { Resolve } from '../../src/delivery/name-cache.ts'
import { WebhookClient } from '../../src/delivery/webhook-client.ts'
import {
  FORBIDDEN_BLOCKS,
  FORBIDDEN_HOSTS,
  IMPOSSIBLE_HOSTS,
  NAME_ANSWERS,
  NAMES,
} from '../support/address-table.ts'
import { RawEndpoint, response } from '../support/raw-endpoint.ts'

const GENEROUS = { timeoutMs: 20_000 }
const ALLOWED = '127.0.0.1'

/** Every address that this process tried to connect to, as Node tells it. */
const tried: string[] = []
/** Listens on every address of this machine. */
let everywhere: RawEndpoint

function onSocket(message: unknown): void {
  const { socket } = message as { socket: Socket }
  socket.on('connectionAttempt', (address: string) => tried.push(address))
}

beforeAll(async () => {
  subscribe('net.client.socket', onSocket)
  everywhere = await RawEndpoint.open((socket) => socket.end(response(200, '', ['connection: close'])), {
    host: 'any',
  })
})

afterAll(async () => {
  unsubscribe('net.client.socket', onSocket)
  await everywhere[Symbol.asyncDispose]()
})

function openClient(networks: readonly string[], resolve: Resolve): WebhookClient {
  tried.length = 0
  everywhere.reachedAt.length = 0
  const client = new WebhookClient({
    policy: { allowHttp: true, allowNetworks: networks.flatMap((text) => parseNetwork(text) ?? []) },
    resolve,
  })
  onTestFinished(() => client[Symbol.asyncDispose]())
  return client
}

async function outcomeOf(client: WebhookClient, host: string, protocol = 'http'): Promise<unknown> {
  const url = `${protocol}://${host}:${everywhere.port}/`
  const outcome = await client.send({ url, method: 'POST', headers: {}, body: Buffer.from('{}') }, GENEROUS)
  return outcome.kind === 'answered' ? outcome.status : outcome.error
}

const nobody: Resolve = () => Promise.reject(new Error('no name was to be looked up'))

test('the sentries see who comes', async () => {
  for (const address of [ALLOWED, '127.0.0.2']) {
    expect(await outcomeOf(openClient(['127.0.0.0/8'], nobody), address)).toBe(200)
    expect([tried, everywhere.reachedAt]).toEqual([[address], [address]])
  }
})

describe('a URL with a host that is not public', () => {
  test.for(Object.entries(FORBIDDEN_HOSTS))('%s connects to nothing', async ([, hosts]) => {
    const client = openClient([], nobody)
    for (const host of hosts)
      for (const protocol of ['http', 'https'])
        expect.soft([host, await outcomeOf(client, host, protocol)]).toEqual([host, 'address_denied'])
    expect([tried, everywhere.reachedAt]).toEqual([[], []])
  })

  test('of any forbidden block connects to nothing', async () => {
    const client = openClient([], nobody)
    for (const [, , ...addresses] of FORBIDDEN_BLOCKS)
      for (const address of addresses) {
        const host = address.includes(':') ? `[${address}]` : address
        expect.soft([host, await outcomeOf(client, host)]).toEqual([host, 'address_denied'])
      }
    expect([tried, everywhere.reachedAt]).toEqual([[], []])
  })

  test('that is none connects to nothing, and looks nothing up', async () => {
    const client = openClient(['0.0.0.0/0', '::/0'], nobody)
    for (const host of IMPOSSIBLE_HOSTS)
      expect.soft([host, await outcomeOf(client, host)]).toEqual([host, 'invalid_url'])
    expect([tried, everywhere.reachedAt]).toEqual([[], []])
  })
})

describe('a name', () => {
  test.for(NAME_ANSWERS)('whose server answers %s', async ([, answers, outcomes, ttlMs]) => {
    let asked = 0
    const client = openClient([`${ALLOWED}/32`], async () => {
      const addresses = answers[Math.min(asked++, answers.length - 1)] ?? []
      return addresses.map((address) => ({
        address,
        family: address.includes(':') ? 6 : 4,
        ...(ttlMs !== undefined && { ttlMs }),
      }))
    })
    const seen: unknown[] = []
    for (const _ of outcomes) seen.push(await outcomeOf(client, 'endpoint.example'))
    expect(seen).toEqual(outcomes)
    const arrivals = outcomes.filter((outcome) => outcome === 200).map(() => ALLOWED)
    expect(everywhere.reachedAt).toEqual(arrivals)
    expect(
      tried.map((address) => address.replace(/^::ffff:(7f00:1)?/, (_, hex) => (hex ? ALLOWED : ''))),
    ).toEqual(arrivals)
  })

  test.for(NAMES)('like %s is judged by what it leads to', async (name) => {
    const leadTo =
      (address: string): Resolve =>
      async () => [{ address, family: 4 }]
    expect(await outcomeOf(openClient([`${ALLOWED}/32`], leadTo('127.0.0.2')), name)).toBe('address_denied')
    expect([tried, everywhere.reachedAt]).toEqual([[], []])
    expect(await outcomeOf(openClient([`${ALLOWED}/32`], leadTo(ALLOWED)), name)).toBe(200)
    expect([tried, everywhere.reachedAt]).toEqual([[ALLOWED], [ALLOWED]])
  })

  test.for(FORBIDDEN_BLOCKS)('that leads into %s (%s) connects to nothing', async ([, , ...addresses]) => {
    for (const address of addresses) {
      const family = address.includes(':') ? 6 : 4
      const alone = openClient([], async () => [{ address, family }])
      expect(await outcomeOf(alone, 'endpoint.example')).toBe('address_denied')
      const besidePublic = openClient([], async () => [
        { address: '8.8.8.8', family: 4 },
        { address, family },
      ])
      expect(await outcomeOf(besidePublic, 'endpoint.example', 'https')).toBe('address_denied')
      expect([tried, everywhere.reachedAt]).toEqual([[], []])
    }
  })
})
