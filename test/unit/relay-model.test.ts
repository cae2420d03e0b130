/**
 * Assembler and batches together, against a model of Postgres: a log of transactions, connections that break anywhere
 * and read again from any position that was confirmed, recordings that fail, messages of no transaction whose end is where a
 * commit record begins. Whatever happens, every row is recorded once, and nothing is confirmed that is not recorded.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { StreamItem } from '../../src/core/committed-transaction.ts'
import { laterLsn, type Lsn, ZERO_LSN } from '../../src/core/lsn.ts'
import type { RelayPosition } from '../../src/core/relay-position.ts'
import { type RelayRow, toBatch } from '../../src/relay/relay-batch.ts'
import type { DecodedMessage } from '../../src/replication/decoder.ts'
import { PIECE_BYTES, PIECE_ROWS, TransactionAssembler } from '../../src/replication/transaction-assembler.ts'

interface LoggedTransaction {
  readonly commitLsn: Lsn
  readonly endLsn: Lsn
  readonly rows: readonly string[]
  readonly rowBytes: number
  /** A message of no transaction that ends where the commit record begins. */
  readonly stray: string | undefined
}

type Fate = 'confirmed' | 'recorded' | 'halved' | 'failed' | 'passed over'

/** One connection: where it reads from, when it breaks, how its items are batched and what becomes of the batches. */
interface Connection {
  readonly from: number
  readonly breaksAfter: number
  readonly batchSizes: readonly number[]
  readonly fates: readonly Fate[]
  /** For each message, whether a keepalive follows it and how far into the gap to the next commit it reaches. */
  readonly keepalives: readonly (number | undefined)[]
}

const AT = new Date(0)
const STRAY_BYTES = 8n

/** Postgres's side: sends every transaction whose commit record begins at or after what was confirmed. */
function* send(
  log: readonly LoggedTransaction[],
  from: Lsn,
  keepalives: readonly (number | undefined)[],
): Generator<{ readonly message: DecodedMessage; readonly bytes: number } | { readonly keepalive: Lsn }> {
  let sent = 0
  for (const [i, { commitLsn, endLsn, rows, rowBytes, stray }] of log.entries()) {
    if (stray !== undefined && commitLsn - STRAY_BYTES >= from) {
      yield { message: { kind: 'stray_message', lsn: commitLsn, row: new Map([['id', stray]]) }, bytes: 50 }
      if (keepalives[sent++ % keepalives.length] !== undefined) yield { keepalive: commitLsn }
    }
    if (commitLsn < from) continue
    yield { message: { kind: 'begin', commitLsn, committedAt: AT }, bytes: 21 }
    for (const row of rows) {
      yield { message: { kind: 'insert', origin: 'outbox', row: new Map([['id', row]]) }, bytes: rowBytes }
      // In the middle of a transaction a keepalive says where its decoding stands: behind its commit.
      if (keepalives[sent++ % keepalives.length] !== undefined) yield { keepalive: endLsn }
    }
    yield { message: { kind: 'commit', commitLsn, endLsn }, bytes: 26 }
    const share = keepalives[sent++ % keepalives.length]
    const next = log[i + 1]
    const nextCommit = next?.commitLsn ?? endLsn + 100n
    const gap = Number(nextCommit - (next?.stray === undefined ? 0n : STRAY_BYTES) - endLsn)
    if (share !== undefined) yield { keepalive: (endLsn + BigInt(Math.floor(gap * share))) as Lsn }
  }
}

class Model {
  readonly #log: readonly LoggedTransaction[]
  /** Our tables. */
  position: RelayPosition = { lsn: ZERO_LSN, row: 0 }
  readonly recorded: string[] = []
  readonly #known = new Set<string>()
  readonly #confirmed: Lsn[] = [ZERO_LSN]

  constructor(log: readonly LoggedTransaction[]) {
    this.#log = log
  }

  connect({ from, breaksAfter, batchSizes, fates, keepalives }: Connection): void {
    const assembler = new TransactionAssembler()
    const start = this.#confirmed[from % this.#confirmed.length] ?? ZERO_LSN
    let items: StreamItem[] = []
    let messages = 0
    let batches = 0
    for (const sent of send(this.#log, start, keepalives)) {
      if (messages++ >= breaksAfter) return
      if ('message' in sent) items.push(...[assembler.add(sent.message, sent.bytes) ?? []].flat())
      else if (!assembler.isInTransaction) items.push({ kind: 'idle', lsn: sent.keepalive, urgent: false })
      if (items.length < (batchSizes[batches % batchSizes.length] ?? 1)) continue
      if (!this.#take(items, fates[batches++ % fates.length] ?? 'confirmed')) return
      items = []
    }
    this.#take(items, 'confirmed')
  }

  /** Returns whether the connection goes on. */
  #take(items: readonly StreamItem[], fate: Fate): boolean {
    const batch = toBatch(items, this.position)
    if (fate === 'failed') return false
    if (fate === 'passed over' && batch.rows.length === 0) return true
    if (fate === 'halved') {
      // A batch that was refused for one of its rows is recorded in halves; here it breaks off between them.
      const left = batch.rows.slice(0, Math.ceil(batch.rows.length / 2))
      const last = left.at(-1)
      if (last !== undefined) this.#record(left, { lsn: last.commitLsn, row: last.row + 1 })
      return false
    }
    this.#record(batch.rows, batch.position)
    if (fate === 'recorded') return false
    if (batch.confirmable !== undefined) this.#confirm(batch.confirmable)
    return true
  }

  #record(rows: readonly RelayRow[], position: RelayPosition): void {
    for (const { raw, commitLsn, row } of rows) {
      const name = raw.get('id') ?? ''
      must(name === `${commitLsn} ${row}`, `row ${name} was taken for ${commitLsn} ${row}`)
      must(!this.#known.has(name), `row ${name} was recorded twice`)
      this.#known.add(name)
      this.recorded.push(name)
    }
    const { lsn, row } = this.position
    must(position.lsn > lsn || (position.lsn === lsn && position.row >= row), 'the position went back')
    this.position = position
  }

  #confirm(confirmable: Lsn): void {
    must(confirmable <= this.position.lsn, 'more was confirmed than the position says')
    for (const { commitLsn, rows, stray } of this.#log) {
      must(
        stray === undefined || commitLsn - STRAY_BYTES >= confirmable || this.#known.has(stray),
        `what stands before ${commitLsn} was confirmed and not recorded`,
      )
      const isGone = commitLsn < confirmable
      must(
        !isGone || rows.every((row) => this.#known.has(row)),
        `${commitLsn} was confirmed and not recorded`,
      )
    }
    this.#confirmed.push(laterLsn(confirmable, this.#confirmed.at(-1) ?? ZERO_LSN))
  }
}

function must(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise)
}

const sizes = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(0, 0, 1, 2, 3, 7) },
  { weight: 1, arbitrary: fc.constantFrom(PIECE_ROWS - 1, PIECE_ROWS, PIECE_ROWS + 1, 2 * PIECE_ROWS + 1) },
)
const transactions = fc.record({
  gap: fc.constantFrom(0, 0, 0, 8, 1_000),
  size: sizes,
  rowBytes: fc.constantFrom(100, PIECE_BYTES / 2, PIECE_BYTES),
  hasStray: fc.boolean(),
})

const logs = fc.array(transactions, { minLength: 1, maxLength: 8 }).map((drawn) => {
  let end = 1_000n
  return drawn.map(({ gap, size, rowBytes, hasStray }): LoggedTransaction => {
    const isLong = size > 10
    // Room for the rows' own records, unless commit records touch.
    const commitLsn = (end + BigInt(gap)) as Lsn
    end = commitLsn + 48n
    return {
      commitLsn,
      endLsn: end as Lsn,
      rows: Array.from({ length: size }, (_, row) => `${commitLsn} ${row}`),
      rowBytes: isLong ? 100 : rowBytes,
      stray: hasStray && gap >= STRAY_BYTES ? `${commitLsn} -1` : undefined,
    }
  })
})

const FATES: readonly Fate[] = [
  'confirmed',
  'confirmed',
  'confirmed',
  'recorded',
  'halved',
  'failed',
  'passed over',
]

const connections = fc.record({
  from: fc.nat(50),
  breaksAfter: fc.oneof(fc.nat(20), fc.nat(3_000), fc.constant(Infinity)),
  batchSizes: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 }),
  fates: fc.array(fc.constantFrom(...FATES), {
    minLength: 1,
    maxLength: 5,
  }),
  keepalives: fc.array(fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined, freq: 1 }), {
    minLength: 1,
    maxLength: 7,
  }),
})

test('every row is recorded once and in order, and nothing is confirmed before', () => {
  fc.assert(
    fc.property(logs, fc.array(connections, { maxLength: 6 }), connections, (log, broken, last) => {
      const model = new Model(log)
      for (const connection of broken) model.connect(connection)
      model.connect({ ...last, breaksAfter: Infinity, fates: ['confirmed'] })
      expect(model.recorded).toEqual(
        log.flatMap(({ rows, stray }) => [...(stray === undefined ? [] : [stray]), ...rows]),
      )
    }),
  )
})
