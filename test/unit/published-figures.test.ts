/** The figures in the documents are those of the published run, and nobody typed them. */
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { blocks, withBlocks } from '../../bench/publish/blocks.ts'
import { readPublished } from '../../bench/publish/published.ts'
import { chart } from '../../bench/report/chart.ts'

const published = await readPublished()

test.for(Object.entries(blocks(published)))(
  '%s says what the run says; else: npm run bench:publish',
  async ([document, named]) => {
    const text = await readFile(new URL(`../../${document}`, import.meta.url), 'utf8')
    expect(text).toBe(withBlocks(text, named))
  },
)

test('the chart is of the same run', async () => {
  const svg = await readFile(new URL('../../docs/performance.svg', import.meta.url), 'utf8')
  expect(svg).toBe(chart(published.whole))
})

test('it was a whole run, on a machine that did nothing else', () => {
  expect(published.whole).toMatchObject({ command: 'npm run bench', scale: 1, besideOthers: false })
  expect(published.whole.scenarios.filter(({ noFigure }) => noFigure !== undefined)).toEqual([])
  expect(published.plugins.postgres.plugins).toEqual(['pgoutput', 'wal2json'])
})

test('a document that lacks a block is told, and one that nobody writes', () => {
  expect(() => withBlocks('nothing', { figures: '1' })).toThrow('missing: figures')
  expect(() => withBlocks('<!-- bench:others -->\n<!-- end -->', {})).toThrow('nobody writes: others')
})
