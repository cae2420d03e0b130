/** Whoever cannot see well, has no mouse, or a small screen; and whoever is shown what others wrote to do harm. */
import { describe, expect } from 'vitest'
import { chromiumPath } from '../support/chromium.ts'
import { accessibilityFaults, settled, test as base } from '../support/page.ts'
import { HOSTILE, seed } from '../support/page-seed.ts'

const title = chromiumPath === undefined ? 'not run: the page (no Chromium)' : 'the page'

const test = base.extend('seeded', { scope: 'file' }, ({ site }) => seed(site))

const SHOWN_HOSTILE = HOSTILE.replace('\u202e', String.raw`\u202e`)

describe.skipIf(chromiumPath === undefined)(`${title}`, () => {
  test('axe finds nothing in any view, in light and dark, wide and narrow, and nothing sticks out', async ({
    admin,
    seeded,
  }) => {
    const { page } = admin
    const views = [
      '/ui/',
      '/ui/subscriptions',
      `/ui/subscriptions/${seeded.hostile}`,
      '/ui/subscriptions/new',
      '/ui/deliveries?state=dead',
      `/ui/deliveries/${seeded.deadDelivery}`,
      '/ui/events',
      `/ui/events/${seeded.event}`,
      '/ui/event-types',
      '/ui/keys',
      '/ui/deliveries?key=nobody',
      '/ui/nowhere',
    ]
    const faults: string[] = []
    for (const path of views) {
      await page.goto(path)
      await settled(page)
      for (const [width, colorScheme] of [
        [1400, 'light'],
        [400, 'dark'],
      ] as const) {
        await page.setViewportSize({ width, height: 900 })
        await page.emulateMedia({ colorScheme })
        const where = `${path} ${colorScheme} ${width}`
        faults.push(...(await accessibilityFaults(page)).map((fault) => `${where}: ${fault}`))
        const overhang = await page
          .locator('html')
          .evaluate(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)
        if (overhang > 0) faults.push(`${where}: sticks out by ${overhang} px`)
      }
    }
    await page.setViewportSize({ width: 1400, height: 900 })
    expect(faults).toEqual([])
  })

  test('axe finds nothing in dialogs, in the form with all its fields, and where one signs in', async ({
    admin,
    visit,
    seeded,
  }) => {
    const { page } = admin
    const faults: string[] = []
    await page.goto(`/ui/subscriptions/${seeded.healthy}`)
    for (const name of ['Rotate secret', 'Pause', 'Delete']) {
      await page.getByRole('button', { name }).click()
      await page.getByRole('dialog').waitFor()
      faults.push(...(await accessibilityFaults(page)))
      await page.keyboard.press('Escape')
    }
    await page.getByRole('link', { name: 'Edit' }).click()
    await page.getByText('How it is sent').click()
    await page.getByText('How it is trusted').click()
    faults.push(...(await accessibilityFaults(page)))
    const nobody = await visit()
    await nobody.open('/ui/')
    faults.push(...(await accessibilityFaults(nobody.page)))
    expect(faults).toEqual([])
  })

  test('what others wrote shows as text and runs nothing', async ({ admin, seeded }) => {
    const { page } = admin
    const shownAt: readonly (readonly [string, RegExp | string])[] = [
      [`/ui/subscriptions/${seeded.hostile}`, SHOWN_HOSTILE],
      [`/ui/deliveries/${seeded.deadDelivery}`, SHOWN_HOSTILE],
      [`/ui/events/${seeded.event}`, 'globalThis.pwned'],
      ['/ui/subscriptions', SHOWN_HOSTILE],
      ['/ui/deliveries', SHOWN_HOSTILE],
      ['/ui/event-types', SHOWN_HOSTILE],
    ]
    for (const [path, text] of shownAt) {
      await page.goto(path)
      await page.getByText(text).first().waitFor({ state: 'attached' })
      await settled(page)
      expect(await page.evaluate(() => (globalThis as { pwned?: number }).pwned), path).toBeUndefined()
      expect(await page.locator('main img, main script, main iframe').count(), path).toBe(0)
    }
  })

  test('the page is gone through with the keyboard alone', async ({ admin, seeded }) => {
    const { page } = admin
    await page.goto('/ui/')
    await settled(page)
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    expect(await page.locator('main').evaluate((main) => main.ownerDocument.activeElement === main)).toBe(
      true,
    )

    await page.keyboard.press('g')
    await page.keyboard.press('d')
    const heading = page.getByRole('heading', { name: 'Deliveries', level: 1 })
    await heading.waitFor()
    // A screen reader begins at the new view.
    expect(await heading.evaluate((h1) => h1.ownerDocument.activeElement === h1)).toBe(true)
    await page.keyboard.press('/')
    await page.keyboard.type('seed.*')
    await page.keyboard.press('Enter')
    await page.waitForURL(/event_type=seed\.\*/)
    await settled(page)
    await page.keyboard.press('Tab')
    await page.locator('h1').click()
    await page.keyboard.press('j')
    await page.keyboard.press('j')
    await page.keyboard.press('k')
    await page.keyboard.press('Enter')
    await page.waitForURL(/\/ui\/deliveries\/\d+$/)
    await page.getByRole('heading', { name: /^Delivery \d+/ }).waitFor()

    await page.keyboard.press('?')
    const help = page.getByRole('dialog', { name: 'Keyboard shortcuts' })
    await help.waitFor()
    await help.getByLabel('Single keys act').uncheck()
    await page.keyboard.press('Escape')
    await page.keyboard.press('?')
    expect(await help.count()).toBe(0)
    await page.evaluate(() =>
      (globalThis as unknown as { localStorage: { clear(): void } }).localStorage.clear(),
    )
    expect(seeded.event).toBeDefined()
  })
})
