/** Whoever cannot see well, or has no mouse, or a small screen: every view, in both themes, wide and narrow. */
import { describe, expect } from 'vitest'
import { chromiumPath } from '../support/chromium.ts'
import { respond } from '../support/receiver.ts'
import { accessibilityFaults, settled, test } from '../support/page.ts'

const title = chromiumPath === undefined ? 'not run: the page (no Chromium)' : 'the page'

describe.skipIf(chromiumPath === undefined)(`${title}`, () => {
  test('axe finds nothing in any view, in light and dark, wide and narrow, and nothing sticks out', async ({
    admin,
    site,
  }) => {
    const { page } = admin
    const views = await seededViews(site)
    const faults: string[] = []
    for (const path of views) {
      await page.goto(path)
      await settled(page)
      for (const width of [1400, 400])
        for (const colorScheme of ['light', 'dark'] as const) {
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
})
