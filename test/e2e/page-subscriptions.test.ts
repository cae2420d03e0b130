/** A subscription's life on the page: made, tested, paused, resumed, changed, given a new secret, deleted. */
import { describe, expect } from 'vitest'
import { chromiumPath } from '../support/chromium.ts'
import { eventually } from '../support/eventually.ts'
import { confide, confideSecretsIn } from '../support/leak-watch.ts'
import { respond } from '../support/receiver.ts'
import { settled, test } from '../support/page.ts'

const title = chromiumPath === undefined ? 'not run: the page (no Chromium)' : 'the page'

describe.skipIf(chromiumPath === undefined)(`${title}`, () => {
  test('a subscription is made, its secret shown once, and a test is seen to arrive', async ({
    admin,
    site,
  }) => {
    const { page } = admin
    site.receiver.on('/billing', [respond(200, { body: '{"thanks": true}' })])
    await page.goto('/ui/')
    await page.getByRole('link', { name: 'Subscriptions' }).click()
    await page.getByRole('link', { name: 'New subscription' }).first().click()
    await page.getByLabel('URL').fill(site.receiver.url('/billing'))
    await page.getByLabel('Name', { exact: true }).fill('billing')
    await page.getByLabel('Event types').fill('order.* invoice.paid')
    await page.getByLabel('Filter').fill('$.amount')
    await page.getByRole('button', { name: 'Create subscription' }).click()

    // The server's word, at the field that it is about, and the focus there.
    const filter = page.getByLabel('Filter')
    await eventually(async () => expect(await filter.getAttribute('aria-invalid')).toBe('true'))
    await page.getByText('has to be a predicate').waitFor()
    expect(await filter.evaluate((element) => element.ownerDocument.activeElement === element)).toBe(true)

    await filter.fill('$.amount > 100')
    await page.getByRole('button', { name: 'Create subscription' }).click()
    const dialog = page.getByRole('dialog', { name: 'The signing secret' })
    const secret = (await dialog.getByLabel('Secret', { exact: true }).textContent()) ?? ''
    confideSecretsIn(secret)
    expect(secret).toMatch(/^whsec_/)
    site.receiver.verify('/billing', secret)
    await dialog.getByRole('button', { name: 'Done' }).click()
    await page.getByRole('heading', { name: 'billing', level: 1 }).waitFor()
    expect(await page.content()).not.toContain(secret)

    await page.getByRole('button', { name: 'Send test' }).click()
    const test = page.getByRole('dialog', { name: 'Test' })
    await test.getByText('200 OK').waitFor()
    await test.getByText('"thanks"').waitFor()
    const [request] = await site.receiver.waitFor(1, { path: '/billing' })
    expect(request).toMatchObject({ forged: undefined })
    expect(request?.headers['walhook-event-type']).toBe('walhook.test')
    await page.keyboard.press('Escape')
    // It stands in the strip without anybody reloading.
    await page.getByRole('img', { name: '1 of the last 1 attempts succeeded' }).waitFor()
  })

  test('it is paused with a reason, resumed, changed, and given a new secret', async ({ admin, site }) => {
    const { page } = admin
    const [made] = await site.db.query<{ id: string }>(
      `select id from walhook.subscribe($1, '{order.*}', name => 'shipping')`,
      [site.receiver.url('/shipping')],
    )
    await page.goto(`/ui/subscriptions/${made?.id}`)
    await page.getByRole('button', { name: 'Pause' }).click()
    await page.getByLabel('Reason').fill('they move house')
    await page.getByRole('dialog').getByRole('button', { name: 'Pause' }).click()
    await page.getByText('Paused: they move house').waitFor()
    await page.getByRole('button', { name: 'Resume' }).click()
    await page.getByRole('button', { name: 'Pause' }).waitFor()

    await page.getByRole('link', { name: 'Edit' }).click()
    await page.getByLabel('Description').fill('Parcels')
    await page.getByText('How it is sent').click()
    await page.getByLabel('Timeout').fill('soon')
    await page.getByRole('button', { name: 'Save changes' }).click()
    await eventually(async () =>
      expect(await page.getByLabel('Timeout').getAttribute('aria-invalid')).toBe('true'),
    )
    await page.getByLabel('Timeout').fill('5s')
    await page.getByText('How it is trusted').click()
    await page.getByLabel('Credentials').selectOption('A bearer token')
    await page.getByLabel('Token').fill('token-typed-by-hand')
    confide('token-typed-by-hand', 'a token')
    await page.getByRole('button', { name: 'Save changes' }).click()
    await page.getByText('Parcels').waitFor()
    expect(
      await site.db.query(
        'select timeout, event_types, auth::jsonb as auth from walhook.subscriptions where id = $1',
        [made?.id],
      ),
    ).toEqual([
      {
        timeout: '5s',
        event_types: ['order.*'],
        auth: { type: 'bearer', token: 'token-typed-by-hand' },
      },
    ])

    await page.getByRole('button', { name: 'Rotate secret' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Rotate' }).click()
    const secret = (await page.getByRole('dialog').getByLabel('Secret', { exact: true }).textContent()) ?? ''
    confideSecretsIn(secret)
    await page.getByRole('button', { name: 'Done' }).click()
    await page.getByText('signs too, until').waitFor()

    await page.getByRole('button', { name: 'Delete' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
    await page.getByRole('heading', { name: 'Subscriptions', level: 1 }).waitFor()
    await settled(page)
    expect(await page.getByText('shipping').count()).toBe(0)
  })

  test('a change that somebody else was faster with is refused, and told', async ({ admin, site }) => {
    const { page } = admin
    const [made] = await site.db.query<{ id: string }>(
      `select id from walhook.subscribe($1, '{*}', name => 'contested')`,
      [site.receiver.url('/contested')],
    )
    await page.goto(`/ui/subscriptions/${made?.id}/edit`)
    await page.getByLabel('Description').fill('mine')
    await site.db.query(`update walhook.subscriptions set description = 'theirs' where id = $1`, [made?.id])
    await page.getByRole('button', { name: 'Save changes' }).click()
    await page.getByRole('alert').getByText('Somebody changed it meanwhile').waitFor()
    expect(
      await site.db.query('select description from walhook.subscriptions where id = $1', [made?.id]),
    ).toEqual([{ description: 'theirs' }])
  })

  test('a filter is tried on recent events before anybody relies on it', async ({ admin, site }) => {
    const { page } = admin
    const [made] = await site.db.query<{ id: string }>(
      `select id from walhook.subscribe($1, '{refund.*}', name => 'refunds')`,
      [site.receiver.url('/refunds')],
    )
    await site.db.query(
      `select walhook.publish('refund.made', json_build_object('amount', a)) from unnest('{50,150,250}'::int[]) as a`,
    )
    await page.goto(`/ui/subscriptions/${made?.id}`)
    await page.getByLabel('Filter').fill('$.amount > 100')
    await page.getByRole('button', { name: 'Try on recent events' }).click()
    await page.getByText('2 of 3 recent events match').waitFor()
    await page.getByLabel('Filter').fill('$.amount')
    await page.getByRole('button', { name: 'Try on recent events' }).click()
    await page.getByText('has to be a predicate').waitFor()
  })
})
