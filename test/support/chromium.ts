/**
 * The browser that page tests run in: Debian's Chromium, or the one of CHROMIUM_PATH. A machine without one leaves these
 * tests out, and says so.
 */
import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

/** It stays on this machine: no updates, no background requests. */
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

const PLACES = [process.env['CHROMIUM_PATH'], '/usr/bin/chromium']

/** Undefined where there is none. */
export const chromiumPath = PLACES.find((path) => path !== undefined && existsSync(path))

export function launchChromium(): Promise<Browser> {
  if (chromiumPath === undefined) throw new Error('there is no Chromium')
  return chromium.launch({ executablePath: chromiumPath, args: ARGUMENTS })
}

/** Once a run: says what is left out. */
export default function setup(): void {
  if (chromiumPath === undefined)
    process.stdout.write(
      'no Chromium at /usr/bin/chromium or CHROMIUM_PATH: the tests of the page are left out\n',
    )
}
