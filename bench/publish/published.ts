/** The runs whose figures the documents hold. */
import { readResults } from '../results.ts'
import type { Published } from './blocks.ts'

export const PUBLISHED = {
  whole: new URL('whole.json', import.meta.url),
  plugins: new URL('plugins.json', import.meta.url),
}

export async function readPublished(): Promise<Published> {
  return { whole: await readResults(PUBLISHED.whole), plugins: await readResults(PUBLISHED.plugins) }
}
