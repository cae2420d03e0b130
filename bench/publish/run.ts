/** `npm run bench:publish`: takes over the results of a run, if it is given any, and writes its figures into the documents. */
import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { Command } from 'commander'
import { chart } from '../report/chart.ts'
import { blocks, withBlocks } from './blocks.ts'
import { PUBLISHED, readPublished } from './published.ts'

const { whole, plugins } = new Command('npm run bench:publish --')
  .description('Writes the figures of the published runs into README.md and docs/.')
  .option('--whole <file>', 'publish this run of every scenario')
  .option('--plugins <file>', 'publish this run of the plugins, on a server that has both')
  .parse()
  .opts<{ whole?: string; plugins?: string }>()

if (whole !== undefined) await copyFile(whole, PUBLISHED.whole)
if (plugins !== undefined) await copyFile(plugins, PUBLISHED.plugins)
const published = await readPublished()
for (const [document, named] of Object.entries(blocks(published))) {
  const file = new URL(`../../${document}`, import.meta.url)
  await writeFile(file, withBlocks(await readFile(file, 'utf8'), named))
}
await writeFile(new URL('../../docs/performance.svg', import.meta.url), chart(published.whole))
