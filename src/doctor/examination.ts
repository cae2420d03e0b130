/**
 * How checks are run: one that fails says why, and ends no other. What could not be found out is a fact too, and whatever
 * rests on it is told to have been left out because of it.
 */
import {
  type CheckId,
  CHECKS,
  type Fact,
  type Finding,
  known,
  unknown,
  type Verdict,
} from '../core/doctor.ts'
import { errorCode, errorMessage, WalhookError } from '../lifecycle/errors.ts'
import type { Database, Queryable } from '../store/database.ts'
import { readOnly } from '../store/read-only.ts'

/** For everything that is asked of the database. */
const ASK_FOR_MS = 15_000

export class Examination {
  readonly #database: Database
  readonly #findings: Finding[] = []
  readonly #onCheck: (id: CheckId) => void
  readonly #endsAt = performance.now() + ASK_FOR_MS
  /** Set once the database is gone: nobody waits for it again and again. */
  #lost: string | undefined

  constructor(database: Database, onCheck: (id: CheckId) => void) {
    this.#database = database
    this.#onCheck = onCheck
  }

  /** In the order in which an event travels. */
  findings(): readonly Finding[] {
    const order = Object.keys(CHECKS)
    return this.#findings.toSorted((a, b) => order.indexOf(a.check) - order.indexOf(b.check))
  }

  add(check: CheckId, ...verdicts: readonly Verdict[]): void {
    this.#onCheck(check)
    this.#findings.push(...verdicts.map((verdict) => ({ ...verdict, check })))
  }

  /** Asks the database, in a transaction that only reads. Never rejects. */
  async ask<T>(work: (tx: Queryable) => Promise<T>): Promise<Fact<T>> {
    const outcome = await this.attempt(() => readOnly(this.#database, work))
    return outcome.kind === 'known' ? outcome : unknown(reasonOf(outcome.error))
  }

  /** The same where what it rests on is known; else unknown for the same reason. */
  async askAfter<T, Given>(
    given: Fact<Given>,
    work: (tx: Queryable, value: Given) => Promise<T>,
  ): Promise<Fact<T>> {
    return given.kind === 'known' ? this.ask((tx) => work(tx, given.value)) : given
  }

  /** For what has more to say of its error than a reason. */
  async attempt<T>(
    work: () => Promise<T>,
  ): Promise<
    { readonly kind: 'known'; readonly value: T } | { readonly kind: 'failed'; readonly error: unknown }
  > {
    if (this.#lost !== undefined) return { kind: 'failed', error: new Error(this.#lost) }
    if (performance.now() > this.#endsAt) return { kind: 'failed', error: new Error('no time was left') }
    try {
      return { kind: 'known', value: await work() }
    } catch (error) {
      if (error instanceof WalhookError && error.code === 'database_unreachable')
        this.#lost = 'the database cannot be reached'
      return { kind: 'failed', error }
    }
  }
}

/** As part of a sentence: not checked, because … */
export function reasonOf(error: unknown): string {
  const said = errorMessage(error)
  switch (errorCode(error)) {
    case '42501':
      return `the login lacks a right: ${said}`
    case '57014':
      return 'it took too long'
    case '55P03':
      return 'somebody holds a lock on what it would read'
    default:
      return said
  }
}

/** Both known, or the first reason why not. */
export function both<A, B>(a: Fact<A>, b: Fact<B>): Fact<readonly [A, B]> {
  if (a.kind === 'unknown') return a
  return b.kind === 'unknown' ? b : known([a.value, b.value])
}
