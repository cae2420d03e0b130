/** Events and deliveries on the page: what was published, who got it and why not, and what is done about what failed. */
import { describe, expect } from 'vitest'
import { chromiumPath } from '../support/chromium.ts'
import { eventually } from '../support/eventually.ts'
import { respond } from '../support/receiver.ts'
import { settled, type Site, test } from '../support/page.ts'

const title = chromiumPath === undefined ? 'not run: the page (no Chromium)' : 'the page'

async function subscribe({ db, receiver }: Site, path: string, types: string, more = ''): Promise<string> {
  const [made] = await db.query<{ id: string }>(`select id from walhook.subscribe($1, $2${more})`, [
    receiver.url(path),
    types,
  ])
  return made?.id ?? ''
}

const untilState = (site: Site, type: string, state: string, count = 1): Promise<void> =>
  eventually(async () => {
    const rows = await site.db.query(
      `select from walhook.delivery_status where event_type = $1 and state = $2`,
      [type, state],
    )
    expect(rows).toHaveLength(count)
  })

describe.skipIf(chromiumPath === undefined)(`${title}`, () => {
  test('an event is published by hand, arrives in the open list by itself, and is followed to who got it', async ({
    admin,
    visit,
    site,
  }) => {
    const id = await subscribe(site, '/hand', '{hand.*}', `, name => 'hand'`)
    await subscribe(site, '/choosy', '{hand.*}', `, name => 'choosy', filter => '$.amount < 0'`)
    const { page } = admin
    const watcher = await visit()
    await watcher.page.goto('/ui/')
    await watcher.page.getByLabel('Key').fill('administrators-token-of-the-page-tests')
    await watcher.page.getByRole('button', { name: 'Sign in' }).click()
    await watcher.page.getByRole('link', { name: 'Deliveries' }).click()
    await watcher.page.getByText('Live', { exact: true }).waitFor()
    await settled(watcher.page)

    await page.goto('/ui/events')
    await page.getByRole('button', { name: 'Publish event' }).click()
    const dialog = page.getByRole('dialog', { name: 'Publish an event' })
    await dialog.getByLabel('Type').fill('hand.written')
    await dialog.getByLabel('Payload').fill('{"amount": 12,')
    await dialog.getByRole('button', { name: 'Publish' }).click()
    await dialog.getByText(/JSON/).nth(1).waitFor()
    await dialog.getByLabel('Payload').fill('{"amount": 12345678901234567890}')
    await dialog.getByLabel('Key').fill('h-1')
    await dialog.getByRole('button', { name: 'Publish' }).click()
    await page.getByRole('heading', { name: 'hand.written', level: 1 }).waitFor()
    await page.getByText('12345678901234567890').waitFor()

    const [request] = await site.receiver.waitFor(1, { path: '/hand' })
    expect(request?.body.toString()).toContain('12345678901234567890')
    const got = page.getByRole('region', { name: 'Deliveries of this event' })
    await got.getByText('Delivered').first().waitFor()
    await page.getByRole('row', { name: /hand/ }).first().waitFor()
    await page.reload()
    const matches = page.getByRole('region', { name: 'Who matches, and why not' })
    await matches.getByRole('row', { name: /choosy/ }).waitFor()
    await matches.getByText('Its filter says no to this payload').waitFor()

    // Nobody touched this one.
    await watcher.page
      .getByRole('row', { name: /hand\.written/ })
      .first()
      .waitFor()
    expect(id).not.toBe('')
  })

  test('a dead letter is found by its filters, told attempt by attempt, and resent', async ({
    admin,
    site,
  }) => {
    const { page } = admin
    site.receiver.on('/fickle', [
      respond(503, { body: '{"error": "overloaded"}', headers: { 'content-type': 'application/json' } }),
      respond(500, { body: 'still not' }),
      respond(200, { body: 'at last' }),
    ])
    await subscribe(site, '/fickle', '{fickle.*}', `, name => 'fickle', retry_schedule => '{100ms}'`)
    await site.db.query(`select walhook.publish('fickle.moved', '{"a": 1}', key => 'f-1')`)
    await untilState(site, 'fickle.moved', 'dead')

    await page.goto('/ui/deliveries')
    await page.getByLabel('State', { exact: true }).selectOption('Dead letters')
    await page.getByLabel('Event type').fill('fickle.*')
    await page.waitForURL(/state=dead&event_type=fickle/)
    await settled(page)
    // The address alone brings a colleague to the same list.
    await page.goto(page.url())
    expect(await page.getByLabel('Event type').inputValue()).toBe('fickle.*')
    await page.getByRole('link', { name: 'fickle.moved' }).click()

    const attempts = page.getByRole('listitem')
    await attempts.filter({ hasText: 'Attempt 1' }).getByText('503 Service Unavailable').waitFor()
    const second = attempts.filter({ hasText: 'Attempt 2' })
    await second.getByText('500 Internal Server Error').waitFor()
    await second.getByText('still not').waitFor()
    await attempts.filter({ hasText: 'Dead letter' }).waitFor()
    await page.getByRole('button', { name: 'Show as curl' }).click()
    await page
      .getByText(/curl .*\/fickle/s)
      .first()
      .waitFor()

    await page.getByRole('button', { name: 'Resend' }).click()
    await attempts.filter({ hasText: 'Attempt 3' }).getByText('200 OK').waitFor()
    await page.locator('main').getByText('at last').waitFor()
    const ids = site.receiver.requests('/fickle').map(({ id }) => id)
    expect(new Set(ids).size).toBe(1)
  })

  test('dead letters of a filter are resent after a look at how many', async ({ admin, site }) => {
    const { page } = admin
    site.receiver.on('/closed', [respond(503)])
    await subscribe(site, '/closed', '{closed.*}', `, name => 'closed', retry_schedule => '{}'`)
    await site.db.query(
      `select walhook.publish('closed.door', json_build_object('n', n)) from generate_series(1, 3) as n`,
    )
    await untilState(site, 'closed.door', 'dead', 3)
    site.receiver.on('/closed', [respond(204)])

    await page.goto('/ui/deliveries?state=dead&event_type=closed.door')
    await settled(page)
    await page.getByRole('button', { name: 'Resend filtered' }).click()
    const dialog = page.getByRole('dialog', { name: 'Resend what is filtered' })
    await dialog.getByText('3 deliveries fit').waitFor()
    expect(site.receiver.requests('/closed')).toHaveLength(3)
    await dialog.getByRole('button', { name: 'Resend 3 deliveries' }).click()
    await untilState(site, 'closed.door', 'delivered', 3)
    // The list is of dead ones, and says that there are none any more.
    await page.getByText('No such deliveries').waitFor()
  })

  test('some are ticked: cancelled while they wait, and resent later', async ({ admin, site }) => {
    const { page } = admin
    const id = await subscribe(site, '/ticked', '{ticked.*}', `, name => 'ticked'`)
    await site.db.query(`select walhook.pause($1)`, [id])
    await site.db.query(
      `select walhook.publish('ticked.box', json_build_object('n', n)) from generate_series(1, 3) as n`,
    )
    await untilState(site, 'ticked.box', 'pending', 3)

    await page.goto('/ui/deliveries?event_type=ticked.box')
    await settled(page)
    await page
      .getByLabel(/^Select the delivery/)
      .first()
      .check()
    await page.getByText('1 selected').waitFor()
    await page.getByRole('button', { name: 'Select all shown' }).click()
    await page.getByText('3 selected').waitFor()
    await page.getByRole('button', { name: 'Cancel deliveries' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel deliveries' }).click()
    await untilState(site, 'ticked.box', 'cancelled', 3)
    await page
      .getByRole('row', { name: /Cancelled/ })
      .nth(2)
      .waitFor()

    await site.db.query(`select walhook.resume($1)`, [id])
    await page
      .getByLabel(/^Select the delivery/)
      .first()
      .check()
    await page.getByRole('button', { name: 'Resend', exact: true }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Resend', exact: true }).click()
    await untilState(site, 'ticked.box', 'delivered')
    await page
      .getByRole('row', { name: /Delivered/ })
      .first()
      .waitFor()
  })

  test('the overview tells what was delivered, what failed, and who needs somebody first', async ({
    admin,
    site,
  }) => {
    const { page } = admin
    site.receiver.on('/broken', [respond(503)])
    await subscribe(site, '/broken', '{broken.*}', `, name => 'broken endpoint'`)
    await site.db.query(`select walhook.publish('broken.leg', '{}')`)
    await page.goto('/ui/?window=1h')
    await page.getByRole('link', { name: 'broken endpoint' }).waitFor()
    await page
      .getByRole('img', { name: /Attempts in the last hour: \d+ succeeded, [1-9]\d* failed/ })
      .waitFor()
    await page.getByText('Streaming').waitFor()
    await page.getByRole('radio', { name: '7 d' }).check()
    await page.waitForURL(/window=7d/)
    await page.getByRole('img', { name: /Attempts in the last 7 days/ }).waitFor()

    await page.goto('/ui/subscriptions?state=failing')
    await page.getByRole('link', { name: 'broken endpoint' }).waitFor()
    // Counted for a week, and a few seconds old.
    await page
      .getByRole('row', { name: /broken endpoint/ })
      .getByText('100 %')
      .waitFor()
    await settled(page)
    expect(await page.getByRole('link', { name: 'hand', exact: true }).count()).toBe(0)
  })
})
