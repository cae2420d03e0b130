/** Who is let in to the page, and to what: keys, sessions, portal links. */
import { describe, expect } from 'vitest'
import { chromiumPath } from '../support/chromium.ts'
import { confide } from '../support/leak-watch.ts'
import { ADMIN_TOKEN, settled, signIn, test } from '../support/page.ts'

const title = chromiumPath === undefined ? 'not run: the page (no Chromium)' : 'the page'

describe.skipIf(chromiumPath === undefined)(`${title}`, () => {
  test('asks for a key, refuses a wrong one in the server’s words, and lets in with a right one', async ({
    visit,
  }) => {
    const visitor = await visit()
    const { page } = visitor
    await visitor.open('/ui/deliveries')
    await page.getByLabel('Key').fill('no-such-key')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('alert').getByText('Bearer').waitFor()
    await page.getByLabel('Key').fill(ADMIN_TOKEN)
    await page.keyboard.press('Enter')
    // Where one wanted to go, one is.
    await page.getByRole('heading', { name: 'Deliveries', level: 1 }).waitFor()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByRole('heading', { name: 'Sign in to Walhook' }).waitFor()
    await page.reload()
    await page.getByText('Sign in to Walhook').waitFor()
  })

  test('a key is made, shown once, and revoked', async ({ admin, visit }) => {
    const { page } = admin
    await page.goto('/ui/')
    await page.getByRole('link', { name: 'Keys' }).click()
    await page.getByRole('button', { name: 'New key' }).first().click()
    const dialog = page.getByRole('dialog', { name: 'New key' })
    await dialog.getByLabel('Name').fill('support')
    await dialog.getByLabel('Scope').selectOption('operate')
    await dialog.getByLabel('Tenant').fill('acme')
    await dialog.getByRole('button', { name: 'Make key' }).click()
    const key = (await dialog.getByLabel('Key', { exact: true }).textContent()) ?? ''
    confide(key, 'a key of the API')
    expect(key).toMatch(/^whk_/)
    await dialog.getByRole('button', { name: 'Done' }).click()
    await page.getByRole('row', { name: /support/ }).waitFor()
    await page.getByText(key).waitFor({ state: 'detached' })

    const support = await visit()
    await signIn(support, key)
    expect(await support.page.getByRole('link', { name: 'Keys' }).count()).toBe(0)
    await support.page.getByText('acme · operate').waitFor()

    await page
      .getByRole('row', { name: /support/ })
      .getByRole('button', { name: 'Revoke' })
      .click()
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click()
    await page
      .getByRole('row', { name: /support/ })
      .getByText('Revoked')
      .waitFor()
    await support.page.getByRole('link', { name: 'Event types' }).click()
    await support.page.getByText('The session is over').waitFor()
  })

  test('a portal link opens the page for one tenant, and a spoilt one says so', async ({ admin, visit }) => {
    const { page } = admin
    await page.goto('/ui/keys')
    await page.getByRole('button', { name: 'Portal link' }).click()
    const dialog = page.getByRole('dialog', { name: 'Portal link' })
    await dialog.getByLabel('Tenant').fill('acme')
    await dialog.getByRole('button', { name: 'Make link' }).click()
    const link = (await dialog.getByLabel('Link', { exact: true }).textContent()) ?? ''
    confide(link.split('/').at(-1) ?? '', 'a portal link')

    const customer = await visit()
    await customer.open(link)
    await customer.page.getByText('acme · read').waitFor()
    expect(await customer.page.getByRole('link', { name: 'Keys' }).count()).toBe(0)
    expect(await customer.page.getByText('Replication').count()).toBe(0)

    const late = await visit()
    await late.open(`${link}x`)
    await late.page.getByText('That link opens nothing any more').waitFor()
    await settled(late.page)
  })
})
