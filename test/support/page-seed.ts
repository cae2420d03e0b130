/** A site with something of everything on it, some of it meant to do harm: every view of the page has something to show. */
import { apiAt } from './api.ts'
import { eventually } from './eventually.ts'
import { ADMIN_TOKEN, type Site } from './page.ts'
import { respond } from './receiver.ts'

/** Were it ever taken for markup, the browser would run it, and the policy's refusal would be heard. */
export const HOSTILE = `"><img src=x onerror="globalThis.pwned=1"><script>globalThis.pwned=1</script>\u202egnp.exe`

export interface Seed {
  readonly healthy: string
  readonly hostile: string
  readonly deadDelivery: string
  readonly deliveredDelivery: string
  readonly event: string
}

export async function seed({ url, db, receiver }: Site): Promise<Seed> {
  const api = apiAt(url, ADMIN_TOKEN)
  receiver.on('/seed', [
    respond(200, { body: '{"ok": true}', headers: { 'content-type': 'application/json' } }),
  ])
  receiver.on('/hostile', [respond(500, { body: HOSTILE })])
  const subscribe = async (path: string, more: object): Promise<string> => {
    const made = await api('POST', '/v1/subscriptions', { json: { url: receiver.url(path), ...more } })
    if (made.status !== 201) throw new Error(`no subscription: ${JSON.stringify(made.body)}`)
    return made.body.id
  }
  const healthy = await subscribe('/seed', { name: 'seeded', event_types: ['seed.*'] })
  const hostile = await subscribe(`/hostile`, {
    description: HOSTILE,
    tenant: 'acme',
    event_types: ['seed.*'],
    retry_schedule: ['100ms'],
  })
  await subscribe('/parked', { name: 'parked', event_types: ['seed.*'], filter: '$.amount > 1000' })
  await db.query(`select walhook.pause(id, $1) from walhook.subscriptions where name = 'parked'`, [HOSTILE])
  await api('PUT', '/v1/event-types/seed.sown', {
    json: { description: HOSTILE, schema: { type: 'object' }, example: { note: HOSTILE } },
  })
  const published = await api('POST', '/v1/events', {
    json: { type: 'seed.sown', key: HOSTILE, tenant: 'acme', payload: { amount: 12, note: HOSTILE } },
  })
  const event: string = published.body.id
  return eventually(async () => {
    const rows = await db.query<{ id: string; subscription_id: string }>(
      `select id::text, subscription_id from walhook.deliveries where event_id = $1 and state in ('dead', 'delivered')`,
      [event],
    )
    const of = (subscription: string): string => {
      const found = rows.find(({ subscription_id: id }) => id === subscription)
      if (found === undefined) throw new Error('not settled yet')
      return found.id
    }
    return { healthy, hostile, deadDelivery: of(hostile), deliveredDelivery: of(healthy), event }
  })
}
