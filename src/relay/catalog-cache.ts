/**
 * The catalog as the relay judges by it: read at most once a second, and each schema made ready once for as long as its row
 * stays what it is. A schema that is none is told once, and does not stop the others.
 */
import { setImmediate as others } from 'node:timers/promises'
import type { EventCatalog, EventType } from '../core/event-type.ts'
import { parsePayloadSchema } from '../core/payload-schema.ts'
import type { CatalogRow, KnownVersion } from '../store/event-types.ts'

export interface CatalogSource {
  read(known: readonly KnownVersion[]): Promise<readonly CatalogRow[]>
  onBroken(name: string, reason: string): void
  /** Milliseconds that only move forward. */
  now(): number
}

/** A change takes effect within this. */
export const MAX_AGE_MS = 1_000

interface Entry extends EventType {
  readonly version: string
}

export class CatalogCache {
  readonly #source: CatalogSource
  #entries: ReadonlyMap<string, Entry> = new Map()
  /** By the clock of `now()`, before it was asked for. */
  #readAt = -Infinity
  #reading: Promise<void> | undefined

  constructor(source: CatalogSource) {
    this.#source = source
  }

  /** As it was at `since` or later. Errors: the database's. */
  async readSince(since: number): Promise<EventCatalog> {
    // One that began before may not see what was committed since.
    while (this.#readAt < since)
      await (this.#reading ??= this.#read().finally(() => (this.#reading = undefined)))
    return this.#entries
  }

  async #read(): Promise<void> {
    const readAt = this.#source.now()
    const rows = await this.#source.read([...this.#entries.values()])
    const entries = new Map<string, Entry>()
    for (const row of rows) entries.set(row.name, await this.#entry(row))
    this.#entries = entries
    this.#readAt = readAt
  }

  async #entry(row: CatalogRow): Promise<Entry> {
    const { name, deprecated, version } = row
    const known = this.#entries.get(name)
    if (known?.version === version) return known
    if (row.schema === null) return { name, deprecated, version, schema: undefined }
    // One may take a third of a second: whoever waits to renew a lease comes first.
    await others()
    const schema = parsePayloadSchema(row.schema)
    if (schema.kind === 'none') this.#source.onBroken(name, schema.reason)
    return { name, deprecated, version, schema }
  }
}
