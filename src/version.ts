/** The version, from package.json: in the checkout and in the published package alike. */
import { existsSync, readFileSync } from 'node:fs'
import { z } from 'zod'

const manifest = ['../package.json', '../../package.json']
  .map((path) => new URL(path, import.meta.url))
  .find((url) => existsSync(url))

export const VERSION: string =
  manifest === undefined
    ? '0.0.0'
    : z.object({ version: z.string() }).parse(JSON.parse(readFileSync(manifest, 'utf8'))).version
