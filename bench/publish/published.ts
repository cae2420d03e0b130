/** The runs whose figures the documents hold. */
import { readFile } from 'node:fs/promises'
import { type Results, results } from '../results.ts'
import type { Published } from './blocks.ts'

export const PUBLISHED = {
  whole: new URL('whole.json', import.meta.url),
  plugins: new URL('plugins.json', import.meta.url),
}

export async function readPublished(): Promise<Published> {
  const read = async (file: URL): Promise<Results> => results.parse(JSON.parse(await readFile(file, 'utf8')))
  return { whole: await read(PUBLISHED.whole), plugins: await read(PUBLISHED.plugins) }
}
