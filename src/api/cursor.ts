/**
 * Lists in pages that do not shift: a page begins behind the last row of the one before it, by that row's key and not by a
 * count. The key goes to the client and comes back as an opaque text.
 */
import { z } from 'zod'
import { visibleJson } from '../core/untrusted-text.ts'
import { Problem } from './problem.ts'
import { wholeNumber } from './schemas.ts'

const LONGEST_CURSOR = 2_000

/** Of every list. */
export const pageQuery = {
  limit: wholeNumber(1, 200).default(50).describe('At most so many.'),
  cursor: z
    .string()
    .max(LONGEST_CURSOR, 'has to be the next_cursor of a page')
    .optional()
    .describe('`next_cursor` of the page before this one; with the same filters.'),
}

/** `{ data, next_cursor }` */
export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.object({
    data: z.array(item).describe('In order; the newest first, where nothing else is said.'),
    next_cursor: z.string().nullable().describe('For the next page; null where this is the last one.'),
  })
}

export interface Page<Item> {
  data: Item[]
  next_cursor: string | null
}

/** How a list is continued. `name` keeps one list's cursors from being another's. */
export class Cursor<Key extends readonly unknown[]> {
  readonly #name: string
  readonly #key: z.ZodType<Key>

  constructor(name: string, key: z.ZodType<Key>) {
    this.#name = name
    this.#key = key
  }

  /** The key to go on behind; undefined for the first page. Errors: a malformed one. */
  read(text: string | undefined): Key | undefined {
    if (text === undefined) return undefined
    const parsed = z.tuple([z.literal(this.#name), this.#key]).safeParse(decoded(text))
    if (parsed.success) return parsed.data[1]
    throw new Problem('malformed', 'cursor has to be the next_cursor of a page of this list.', {
      errors: [{ field: 'cursor', detail: 'has to be the next_cursor of a page of this list' }],
    })
  }

  /** For a list that knows by itself where it goes on; undefined where it ends. */
  after(key: Key | undefined): string | null {
    return key === undefined ? null : this.#encoded(key)
  }

  /** `rows` are asked for with one more than `limit`: whether there is a next page is known by that. */
  page<Row, Item>(
    rows: readonly Row[],
    limit: number,
    keyOf: (row: Row) => Key,
    itemOf: (row: Row) => Item,
  ): Page<Item> {
    const shown = rows.slice(0, limit)
    const last = rows.length > limit ? shown.at(-1) : undefined
    return {
      data: shown.map(itemOf),
      next_cursor: last === undefined ? null : this.#encoded(keyOf(last)),
    }
  }

  #encoded(key: Key): string {
    return Buffer.from(visibleJson([this.#name, key])).toString('base64url')
  }
}

function decoded(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString())
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
