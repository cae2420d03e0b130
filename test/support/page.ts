/**
 * The page as a person has it in front of them: one browser, one sidecar and one database for a file, a fresh browser profile
 * for each test. Whatever the browser complains of (an error, a refused script, a violated policy) fails the test.
 */
import Axe, { type ElementContext } from 'axe-core'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { expect, inject, test as base } from 'vitest'
import { parseConfig } from '../../src/config.ts'
import { startSidecar } from '../../src/sidecar.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import { launchChromium } from './chromium.ts'
import { eventually } from './eventually.ts'
import { confideEnvironment, watchOutput } from './leak-watch.ts'
import { LogLines } from './log-lines.ts'
import { Receiver } from './receiver.ts'
import { sidecarEnvironment } from './sidecar-environment.ts'
import { TestDatabase } from './test-database.ts'

export const ADMIN_TOKEN = 'administrators-token-of-the-page-tests'

export interface Site {
  readonly url: string
  readonly db: TestDatabase
  readonly receiver: Receiver
}

export interface Visit {
  readonly page: Page
  readonly context: BrowserContext
  /** Goes to an address of the page and waits until nothing is loading. */
  open(path: string): Promise<void>
}

export const test = base
  // eslint-disable-next-line no-empty-pattern
  .extend('browser', { scope: 'file' }, async ({}, { onCleanup }): Promise<Browser> => {
    const browser = await launchChromium()
    onCleanup(() => browser.close())
    return browser
  })
  // eslint-disable-next-line no-empty-pattern
  .extend('site', { scope: 'file' }, async ({}, { onCleanup }): Promise<Site> => {
    const opened = new AsyncDisposableStack()
    onCleanup(() => opened.disposeAsync())
    const { url, template } = inject('postgres')
    const db = await TestDatabase.clone(url, template, 'page')
    opened.defer(() => db.drop())
    const receiver = opened.use(await Receiver.start())
    const settings = { ...sidecarEnvironment(db, 'auto'), WALHOOK_ADMIN_TOKEN: ADMIN_TOKEN }
    confideEnvironment(settings)
    const logs = new LogLines()
    const config = parseConfig(settings)
    const sidecar = opened.use(await startSidecar(config, createLogger(config.logLevel, logs)))
    watchOutput("the page's sidecar's log", () => logs.text())
    return { url: sidecar.address, db, receiver }
  })
  /** What browsers complained of since somebody looked. */
  // eslint-disable-next-line no-empty-pattern
  .extend('complaints', { scope: 'file' }, ({}): string[] => [])
  /** The administrator's browser, which stays open: signing in anew for each test would take most of the time. */
  .extend('administrator', { scope: 'file' }, async ({ browser, site, complaints }, { onCleanup }) => {
    const visitor = await openBrowser(browser, site, complaints)
    onCleanup(() => visitor.context.close())
    await signIn(visitor, ADMIN_TOKEN)
    return visitor
  })
  .extend('noComplaints', { auto: true }, ({ complaints }, { onCleanup }) => {
    onCleanup(() => expect(complaints.splice(0)).toEqual([]))
  })
  /** Somebody who signed in with the administrator's token, wherever the test before left them. */
  .extend('admin', ({ administrator }): Visit => administrator)
  /** `await visit()` is somebody else, with a browser of their own. */
  .extend('visit', ({ browser, site, complaints }, { onCleanup }) => {
    const contexts: BrowserContext[] = []
    onCleanup(async () => {
      await Promise.all(contexts.map((context) => context.close()))
    })
    return async (): Promise<Visit> => {
      const visitor = await openBrowser(browser, site, complaints)
      contexts.push(visitor.context)
      return visitor
    }
  })

async function openBrowser(browser: Browser, site: Site, complaints: string[]): Promise<Visit> {
  const context = await browser.newContext({
    baseURL: site.url,
    viewport: { width: 1400, height: 900 },
    reducedMotion: 'reduce',
  })
  context.setDefaultTimeout(15_000)
  const page = await context.newPage()
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('console', (message) => {
    // What the server refuses is an answer like any other, though Chromium logs each.
    const isAnswer = /Failed to load resource: the server responded with a status of 4\d\d/
    if (['error', 'warning'].includes(message.type()) && !isAnswer.test(message.text()))
      complaints.push(message.text())
  })
  return {
    page,
    context,
    open: async (path) => {
      await page.goto(path)
      await settled(page)
    },
  }
}

export async function signIn({ page }: Visit, token: string): Promise<void> {
  await page.goto('/ui/')
  await page.getByLabel('Key').fill(token)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor()
}

/** Nothing is loading any more. */
export async function settled(page: Page): Promise<void> {
  await page.locator('h1').first().waitFor()
  await eventually(async () => expect(await page.locator('.skeleton, [aria-busy=true]').count()).toBe(0))
}

/** What axe finds on the page as it stands: nothing, if all is well. */
export async function accessibilityFaults(page: Page): Promise<readonly string[]> {
  await page.evaluate(Axe.source)
  return page.evaluate(async () => {
    const { axe, document } = globalThis as unknown as { axe: typeof Axe; document: ElementContext }
    const { violations } = await axe.run(document, {
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    })
    return violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)} ${failureSummary ?? ''}`),
    )
  })
}
