/**
 * Judges events by the catalog, before they are recorded. Judging changes nothing and may be repeated; what came of it is
 * told once the transaction has committed that recorded it.
 */
import { type CataloguedEvent, type EventCatalog, type Misfit, misfitOf } from '../core/event-type.ts'
import { type CatalogCache, MAX_AGE_MS } from './catalog-cache.ts'

export interface Judgement {
  /** Those that get no delivery, and why. The very objects that were given: an id may be there twice. */
  readonly dead: ReadonlyMap<CataloguedEvent, string>
  readonly tell: () => void
}

export type Judge = (events: readonly CataloguedEvent[]) => Promise<Judgement>

export interface JudgeParts {
  readonly catalog: CatalogCache
  /** Strict: what does not fit is dead. Else it is only told. */
  readonly strict: boolean
  onMisfit(event: CataloguedEvent, misfit: Misfit): void
  onDeprecated(type: string): void
  /** Milliseconds that only move forward. */
  now(): number
}

type Misfits = ReadonlyMap<CataloguedEvent, Misfit>

export function eventJudge(parts: JudgeParts): Judge {
  const { catalog: cache, strict } = parts
  return async (events) => {
    if (events.length === 0) return { dead: new Map(), tell: () => undefined }
    const askedAt = parts.now()
    let catalog = await cache.readSince(askedAt - MAX_AGE_MS)
    let misfits = misfitsAmong(events, catalog)
    if (strict && misfits.size > 0) {
      // A type may be younger than what we know: nothing dies of a catalog that was read before it came.
      catalog = await cache.readSince(askedAt)
      misfits = misfitsAmong(events, catalog)
    }
    const deprecated = new Set(
      events.flatMap(({ type }) => (catalog.get(type)?.deprecated === true ? [type] : [])),
    )
    return {
      dead: new Map(strict ? [...misfits].map(([event, { reason }]) => [event, reason]) : []),
      tell: () => {
        for (const [event, misfit] of misfits) parts.onMisfit(event, misfit)
        for (const type of deprecated) parts.onDeprecated(type)
      },
    }
  }
}

function misfitsAmong(events: readonly CataloguedEvent[], catalog: EventCatalog): Misfits {
  const misfits = new Map<CataloguedEvent, Misfit>()
  for (const event of events) {
    const misfit = misfitOf(event, catalog)
    if (misfit !== undefined) misfits.set(event, misfit)
  }
  return misfits
}
