/**
 * The log as an async iterable of committed transactions with `confirm(lsn)`. One instance, one connection: it ends
 * when the connection does, for whatever reason, and the caller opens another.
 *
 * Nothing is ever told to Postgres as durable but what `confirm` was called with.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { StreamItem, TransactionStream } from '../core/committed-transaction.ts'
import { laterLsn, type Lsn, parseLsn, ZERO_LSN } from '../core/lsn.ts'
import { WalhookError } from '../lifecycle/errors.ts'
import type { Decoder } from './decoder.ts'
import { ExactReplication, RawPlugin } from './exact-replication.ts'
import { isSilentTooLong, type LivenessTimings } from './liveness.ts'
import { replicationError } from './replication-error.ts'
import { TransactionAssembler } from './transaction-assembler.ts'

export interface StreamSource {
  readonly connectionString: string
  readonly slotName: string
  readonly plugin: { readonly name: string; readonly options: readonly string[]; readonly decoder: Decoder }
  readonly liveness: LivenessTimings
  /** Something of this subscription was changed, by a transaction that has committed. Must not throw. */
  readonly onWake: (subscriptionId: string) => void
}

/** What may wait here, decoded, before the socket is paused; reading goes on at half of it. */
const HIGH_WATER_BYTES = 4 * 1024 * 1024
/** What a decoded message takes beside its text. */
const OVERHEAD_BYTES = 1_024
/** What one iteration yields at most. */
const BATCH_BYTES = 4 * 1024 * 1024
const BATCH_ROWS = 1_000
/** Status updates for confirmed positions go out at most this often. */
const CONFIRM_EVERY_MS = 100
const CLOSE_WITHIN_MS = 2_000
/**
 * Postgres can overlook log that is written just while the sender goes to sleep, and then sends it with the next log, which in a
 * quiet database may be seconds away. Whatever comes from us wakes it too.
 */
const NUDGE_EVERY_MS = 500
/** From opening the connection until it streams: as long as silence may last later, and time to connect. */
const SHORTEST_START_LIMIT_MS = 5_000
const LONGEST_START_MS = 30_000

/** Every value as one known text: UTC, ISO dates, hexadecimal bytea. */
const SESSION_SETTINGS =
  '-c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=postgres -c bytea_output=hex -c extra_float_digits=1'

interface Queued {
  readonly item: StreamItem
  readonly bytes: number
}

export class ReplicationStream implements TransactionStream, AsyncDisposable {
  readonly #replication: ExactReplication
  readonly #source: StreamSource
  readonly #assembler = new TransactionAssembler()
  readonly #timers: NodeJS.Timeout[] = []
  #queue: Queued[] = []
  #queuedBytes = 0
  #pieceBytes = 0
  #heldBack = false
  #durable: Lsn = ZERO_LSN
  #statusDue: NodeJS.Timeout | undefined
  #heardAt = performance.now()
  #ended: { readonly error: unknown } | undefined
  #wake: (() => void) | undefined
  #subscribed: Promise<unknown> = Promise.resolve()

  private constructor(source: StreamSource) {
    this.#source = source
    this.#replication = new ExactReplication({
      connectionString: source.connectionString,
      application_name: 'walhook',
      options: SESSION_SETTINGS,
      connectionTimeoutMillis: 10_000,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
    })
  }

  /** Resolves when Postgres streams. Errors: those of `replicationError`. */
  static async open(source: StreamSource): Promise<ReplicationStream> {
    const stream = new ReplicationStream(source)
    try {
      await stream.#start()
      return stream
    } catch (error) {
      await stream[Symbol.asyncDispose]()
      throw replicationError(error, source.slotName, source.plugin.name)
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<readonly StreamItem[]> {
    for (;;) {
      const batch = this.#takeBatch()
      if (batch.length > 0) {
        yield batch
      } else if (this.#ended !== undefined) {
        throw this.#ended.error
      } else {
        await new Promise<void>((resolve) => (this.#wake = resolve))
      }
    }
  }

  confirm(lsn: Lsn): void {
    this.#durable = laterLsn(this.#durable, lsn)
    this.#statusDue ??= setTimeout(() => this.#sendStatus(false), CONFIRM_EVERY_MS)
  }

  /** Ends the iteration with `error`, once what has arrived is taken. */
  end(error: WalhookError): void {
    this.#end(error)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    const isOpen = this.#ended === undefined
    // What was confirmed last is told before we leave, so that it is not sent again.
    if (isOpen) this.#sendStatus(false)
    clearTimeout(this.#statusDue)
    this.#end(new WalhookError('stream_ended', 'the replication stream was closed'))
    this.#replication.resumeReading()
    const tooLong = sleep(CLOSE_WITHIN_MS, undefined, { ref: false })
    if (isOpen) {
      this.#replication.sayGoodbye()
      await Promise.race([this.#subscribed, tooLong])
    }
    await Promise.race([this.#replication.destroy(), tooLong])
    this.#replication.cut()
    await this.#subscribed
  }

  async #start(): Promise<void> {
    const { plugin, slotName, liveness } = this.#source
    const started = new Promise<void>((resolve) => this.#replication.on('start', resolve))
    this.#replication.on('error', (error) => this.#end(error))
    this.#replication.on('data', (_lsn, message: Buffer) => this.#receive(message))
    this.#replication.on('heartbeat', (lsn, _sentAt, shouldRespond) =>
      this.#keepalive(parseLsn(lsn), shouldRespond),
    )

    // However this settles, the connection is gone: the library resolves it for some early failures.
    const ended = this.#replication.subscribe(new RawPlugin(plugin.name, plugin.options), slotName, '0/0')
    this.#subscribed = ended.then(
      () => this.#end(new WalhookError('stream_ended', 'Postgres ended the replication stream')),
      (error: unknown) => this.#end(error),
    )
    // A network can go silent here too, where there is no status update yet that would be answered.
    const withinMs = Math.max(liveness.silenceLimitMs ?? LONGEST_START_MS, SHORTEST_START_LIMIT_MS)
    const giveUp = new AbortController()
    const silent = sleep(withinMs, undefined, { signal: giveUp.signal }).then(
      () => this.#endForSilence(withinMs),
      () => undefined,
    )
    await Promise.race([started, this.#subscribed, silent])
    giveUp.abort()
    if (this.#ended !== undefined) throw this.#ended.error

    this.#heardAt = performance.now()
    // Independent of reading: a consumer that is slow must not look dead to the server.
    this.#timers.push(
      setInterval(() => this.#checkLiveness(), liveness.statusEveryMs),
      setInterval(() => this.#sendStatus(false), NUDGE_EVERY_MS),
    )
  }

  #receive(message: Buffer): void {
    this.#heardAt = performance.now()
    if (this.#ended !== undefined) return
    try {
      // In the socket's own handler: an exception that got away here would end the process.
      const decoded = this.#source.plugin.decoder(message)
      if (decoded.kind === 'wake') this.#source.onWake(decoded.subscriptionId)
      const item = this.#assembler.add(decoded, message.length)
      this.#pieceBytes += message.length + OVERHEAD_BYTES
      if (item !== undefined) this.#enqueue(item)
    } catch (error) {
      this.#end(error)
    }
  }

  #keepalive(walEnd: Lsn, shouldRespond: boolean): void {
    this.#heardAt = performance.now()
    if (shouldRespond) this.#sendStatus(false)
    // What came before it may have been left in the socket by then: it vouches for nothing.
    if (this.#ended !== undefined) return
    // Everything before it has been decoded and was sent before it; only an open transaction would still be owed.
    if (!this.#assembler.isInTransaction) this.#enqueue({ kind: 'idle', lsn: walEnd, urgent: shouldRespond })
  }

  #enqueue(item: StreamItem): void {
    const last = this.#queue.at(-1)
    if (item.kind === 'idle' && last?.item.kind === 'idle') {
      this.#queue[this.#queue.length - 1] = {
        item: { ...item, urgent: item.urgent || last.item.urgent },
        bytes: last.bytes,
      }
      this.#pieceBytes = 0
      return
    }
    this.#queue.push({ item, bytes: this.#pieceBytes })
    this.#queuedBytes += this.#pieceBytes
    this.#pieceBytes = 0
    if (this.#queuedBytes > HIGH_WATER_BYTES && !this.#heldBack) {
      this.#heldBack = true
      this.#replication.pauseReading()
    }
    this.#wake?.()
  }

  #takeBatch(): readonly StreamItem[] {
    let rows = 0
    let bytes = 0
    let count = 0
    for (const { item, bytes: itemBytes } of this.#queue) {
      if (rows >= BATCH_ROWS || bytes >= BATCH_BYTES) break
      rows += item.kind === 'piece' ? item.rows.length : 0
      bytes += itemBytes
      count++
    }
    const batch = this.#queue.slice(0, count).map(({ item }) => item)
    this.#queue = this.#queue.slice(count)
    this.#queuedBytes -= bytes
    if (this.#heldBack && this.#queuedBytes <= HIGH_WATER_BYTES / 2) {
      this.#heldBack = false
      this.#heardAt = performance.now()
      this.#replication.resumeReading()
    }
    return batch
  }

  #sendStatus(ping: boolean): void {
    clearTimeout(this.#statusDue)
    this.#statusDue = undefined
    this.#replication.sendStatus(this.#durable, ping)
  }

  #checkLiveness(): void {
    const silentForMs = performance.now() - this.#heardAt
    if (isSilentTooLong(this.#source.liveness, { silentForMs, heldBack: this.#heldBack })) {
      this.#endForSilence(silentForMs)
      return
    }
    this.#sendStatus(true)
  }

  #endForSilence(silentForMs: number): void {
    const seconds = Math.round(silentForMs / 1000)
    this.#end(
      new WalhookError(
        'stream_ended',
        `Postgres has sent nothing for ${seconds} s on the replication connection`,
      ),
    )
  }

  #end(error: unknown): void {
    this.#ended ??= { error: replicationError(error, this.#source.slotName, this.#source.plugin.name) }
    this.#wake?.()
  }
}
