/**
 * What we rely on in two libraries beyond their documentation, in the very versions that it was read off. A failure
 * here after an upgrade says what to look at before the pin is moved.
 */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { findPackageJSON } from 'node:module'
import type { Socket } from 'node:net'
import type pg from 'pg'
import { PgBoss } from 'pg-boss'
import { LogicalReplicationService } from 'pg-logical-replication'
import { describe, expect } from 'vitest'
import { type Lsn, parseLsn, ZERO_LSN } from '../../src/core/lsn.ts'
import { ExactReplication, RawPlugin } from '../../src/replication/exact-replication.ts'
import { pgoutputDecoder } from '../../src/replication/pgoutput.ts'
import { eventually } from '../support/eventually.ts'
import { test } from '../support/fixtures.ts'
import type { TestDatabase } from '../support/test-database.ts'

test.for([
  ['pg-logical-replication', '2.5.0'],
  ['pg-boss', '12.38.0'],
] as const)('%s is %s', ([name, version]) => {
  const path = findPackageJSON(name, import.meta.url) ?? ''
  expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ name, version })
})

/** The library's private connection, as far as ours or these tests use it. */
interface PrivateConnection {
  readonly stream: Socket
  sendCopyFromChunk(chunk: Buffer): void
  emit(event: 'copyData', message: { readonly chunk: Buffer }): boolean
}

function connectionOf(replication: ReplicationService): PrivateConnection {
  // The private field is what the tests are about.
  const connection = (replication as unknown as { readonly _connection: PrivateConnection | null })
    ._connection
  if (connection === null) throw new Error('not connected')
  return connection
}

/** XLogData, as the server sends it around a plugin's message. */
function xlogData(message: string): Buffer {
  const header = Buffer.alloc(25)
  header.write('w')
  return Buffer.concat([header, Buffer.from(message)])
}

function keepalive(lsn: Lsn, isReplyWanted: boolean): Buffer {
  const chunk = Buffer.alloc(18)
  chunk.write('k')
  chunk.writeBigUInt64BE(lsn, 1)
  chunk.writeUInt8(isReplyWanted ? 1 : 0, 17)
  return chunk
}

/** The library's service and ours alike. */
type ReplicationService = Pick<LogicalReplicationService, 'on' | 'subscribe' | 'destroy'>

/** A library's service on a slot of its own, with what it said and what was sent to the server through it. */
class Streaming<Service extends ReplicationService> implements AsyncDisposable {
  readonly messages: Buffer[] = []
  readonly heartbeats: (readonly unknown[])[] = []
  readonly sent: Buffer[] = []
  readonly #db: TestDatabase
  readonly service: Service
  readonly ended: Promise<unknown>

  private constructor(service: Service, db: TestDatabase) {
    this.service = service
    this.#db = db
    service.on('data', (_lsn, message: Buffer) => void this.messages.push(Buffer.from(message)))
    service.on('heartbeat', (...values) => void this.heartbeats.push(values))
    service.on('error', () => undefined)
    const plugin = new RawPlugin('pgoutput', [`"proto_version" '1'`, `"publication_names" '"contract"'`])
    this.ended = service.subscribe(plugin, db.slot, '0/0').catch((error: unknown) => error)
  }

  static async start<Service extends ReplicationService>(
    db: TestDatabase,
    make: (config: pg.ClientConfig) => Service,
  ): Promise<Streaming<Service>> {
    await db.query('create publication contract for table walhook.outbox')
    await db.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [db.slot])
    const service = make({ connectionString: db.url })
    const started = new Promise<void>((resolve) => service.on('start', resolve))
    const streaming = new Streaming(service, db)
    await started
    const connection = connectionOf(service)
    const send = connection.sendCopyFromChunk.bind(connection)
    connection.sendCopyFromChunk = (chunk) => {
      streaming.sent.push(chunk)
      send(chunk)
    }
    return streaming
  }

  /** Commits an event; resolves to where its commit ends, once that has been streamed. */
  async publish(): Promise<Lsn> {
    const seen = this.messages.length
    await this.#db.query(`select walhook.publish('contract.tried', '{}')`)
    const commit = await eventually(() => {
      const found = this.messages.slice(seen).find((message) => message[0] === 'C'.charCodeAt(0))
      if (found === undefined) throw new Error('no commit was streamed')
      return found
    })
    const decoded = pgoutputDecoder({ outbox: { schema: 'walhook', table: 'outbox' }, sources: [] })(commit)
    if (decoded.kind !== 'commit') throw new Error('not a commit')
    return decoded.endLsn
  }

  /** What Postgres believes to be durable here. */
  async confirmed(): Promise<string> {
    const [slot] = await this.#db.query<{ lsn: string }>(
      'select confirmed_flush_lsn::text as lsn from pg_replication_slots where slot_name = $1',
      [this.#db.slot],
    )
    return slot?.lsn ?? ''
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.service.destroy()
    await this.ended
  }
}

/** The library with its own acknowledging on, every way there is, and our override in place. */
class Overridden extends LogicalReplicationService {
  readonly acknowledged: string[] = []

  override async acknowledge(lsn: string): Promise<boolean> {
    this.acknowledged.push(lsn)
    return true
  }
}

describe('pg-logical-replication', () => {
  test('acknowledges by acknowledge() alone: what overrides it sees every one, and the server none', async ({
    db,
  }) => {
    await using streaming = await Streaming.start(
      db,
      (config) => new Overridden(config, { acknowledge: { auto: true, timeoutSeconds: 1 } }),
    )
    const before = await streaming.confirmed()
    await streaming.publish()
    const { acknowledged } = streaming.service
    expect(acknowledged.length).toBeGreaterThanOrEqual(streaming.messages.length)
    const afterData = acknowledged.length
    // From its timer.
    await eventually(() => expect(acknowledged.length).toBeGreaterThan(afterData))
    expect(streaming.sent).toEqual([])
    expect(await streaming.confirmed()).toBe(before)
  })

  test('as we set it up, tells the server nothing but what we send, and that exactly', async ({ db }) => {
    await using streaming = await Streaming.start(db, (config) => new ExactReplication(config))
    const before = await streaming.confirmed()
    const end = await streaming.publish()
    streaming.service.sendStatus(ZERO_LSN, true)
    await eventually(() => expect(streaming.heartbeats.length).toBeGreaterThan(0))
    expect(await streaming.confirmed()).toBe(before)

    streaming.service.sendStatus(end, false)
    await eventually(async () => expect(parseLsn(await streaming.confirmed())).toBe(end))
    expect(streaming.sent.map((chunk) => [chunk.length, chunk.readBigUInt64BE(9), chunk[33]])).toEqual([
      [34, 0n, 1],
      [34, end, 0],
    ])
  })

  test('keeps its connection in _connection, with a socket that can be held back and cut', async ({ db }) => {
    await using streaming = await Streaming.start(db, (config) => new ExactReplication(config))
    const { stream } = connectionOf(streaming.service)
    streaming.service.pauseReading()
    expect(stream.isPaused()).toBe(true)
    streaming.service.resumeReading()
    expect(stream.isPaused()).toBe(false)
    await streaming.publish()
    streaming.service.cut()
    expect(stream.destroyed).toBe(true)
    await streaming.ended
  })

  test('emits what it received before it reads on, so that a message may be looked at in its own turn', async ({
    db,
  }) => {
    await using streaming = await Streaming.start(db, (config) => new ExactReplication(config))
    const connection = connectionOf(streaming.service)
    const chunk = xlogData('a message')
    connection.emit('copyData', { chunk })
    // From here on what it was parsed from may be used again by the protocol's parser.
    expect(streaming.messages.map(String)).toEqual(['a message'])
  })

  test('tells of a keepalive by its position, its time and whether an answer is wanted', async ({ db }) => {
    await using streaming = await Streaming.start(db, (config) => new ExactReplication(config))
    const end = await streaming.publish()
    streaming.heartbeats.length = 0
    streaming.service.sendStatus(end, true)
    await eventually(() => expect(streaming.heartbeats.length).toBeGreaterThan(0))
    const [lsn, time, isReplyWanted] = streaming.heartbeats[0] ?? []
    expect(parseLsn(String(lsn))).toBeGreaterThanOrEqual(end)
    expect(time).toEqual(expect.any(Number))
    expect(isReplyWanted).toBe(false)

    streaming.heartbeats.length = 0
    connectionOf(streaming.service).emit('copyData', { chunk: keepalive(0x16_b374_d848n as Lsn, true) })
    expect(streaming.heartbeats).toEqual([['16/B374D848', expect.any(Number), true]])
  })

  test('settles its subscription when it is closed', async ({ db }) => {
    const streaming = await Streaming.start(db, (config) => new ExactReplication(config))
    await streaming[Symbol.asyncDispose]()
    await expect(streaming.ended).resolves.not.toBeInstanceOf(Error)
  })
})

const QUEUE = 'retry'

interface Executor {
  executeSql(text: string, values?: unknown[]): Promise<{ rows: unknown[] }>
}

/** Statements of pg-boss on a connection of ours: its transaction is what they join. */
function executorOn(client: pg.Client): Executor {
  return {
    executeSql: async (text, values = []) => ({
      rows: (await client.query<pg.QueryResultRow>(text, values)).rows,
    }),
  }
}

async function openBoss(db: TestDatabase): Promise<PgBoss> {
  const boss = new PgBoss({
    db: executorOn(await db.application()),
    schema: 'walhook_jobs',
    supervise: false,
    schedule: false,
    registerInstance: false,
    openTelemetry: { enabled: false },
    migrate: false,
    createSchema: false,
  })
  await boss.start()
  return boss
}

async function waitingJobs(db: TestDatabase): Promise<unknown[]> {
  return db.query(
    `select id, state::text, retry_count, data from walhook_jobs.job where name = '${QUEUE}' order by created_on, id`,
  )
}

describe('pg-boss', () => {
  test('inserts in our transaction: rolled back, there is no trace of it', async ({ db }) => {
    const boss = await openBoss(db)
    const client = await db.application()
    const [lost, kept] = [randomUUID(), randomUUID()]
    for (const [id, end] of [
      [lost, 'rollback'],
      [kept, 'commit'],
    ] as const) {
      await client.query('begin')
      await boss.insert(QUEUE, [{ id, data: { n: 1 } }], { db: executorOn(client) })
      expect(await waitingJobs(db)).toEqual([])
      await client.query(end)
    }
    expect(await waitingJobs(db)).toMatchObject([
      { id: kept, state: 'created', retry_count: 0, data: { n: 1 } },
    ])
  })

  test('skips a job that exists already, and leaves it as it is', async ({ db }) => {
    const boss = await openBoss(db)
    const executor = { db: executorOn(await db.application()) }
    const [id, other] = [randomUUID(), randomUUID()]
    await boss.insert(QUEUE, [{ id, data: { n: 1 } }], executor)
    await boss.insert(
      QUEUE,
      [
        { id, data: { n: 2 } },
        { id: other, data: { n: 3 } },
      ],
      executor,
    )
    expect(await waitingJobs(db)).toMatchObject([
      { id, data: { n: 1 } },
      { id: other, data: { n: 3 } },
    ])
  })

  test('keeps a job back until startAfter, to the millisecond', async ({ db }) => {
    const boss = await openBoss(db)
    const client = await db.application()
    const executor = { db: executorOn(client) }
    const clock = async (): Promise<number> => {
      const { rows } = await client.query<{ now: Date }>('select clock_timestamp() as now')
      return rows[0]?.now.getTime() ?? Number.NaN
    }
    const dueAt = new Date((await clock()) + 500)
    const later = new Date(dueAt.getTime() + 3_600_000)
    await boss.insert(
      QUEUE,
      [
        { id: randomUUID(), data: { due: 'soon' }, startAfter: dueAt },
        { id: randomUUID(), data: { due: 'later' }, startAfter: later },
      ],
      executor,
    )
    expect(await boss.fetch(QUEUE, { batchSize: 10, ...executor })).toEqual([])
    const [job, ...rest] = await eventually(async () => {
      const jobs = await boss.fetch<{ due: string }>(QUEUE, { batchSize: 10, ...executor })
      expect(jobs).not.toEqual([])
      return jobs
    })
    expect(await clock()).toBeGreaterThanOrEqual(dueAt.getTime())
    expect(job?.data).toEqual({ due: 'soon' })
    expect(rest).toEqual([])
  })

  test('fetches and deletes in our transaction: rolled back, the job waits as before', async ({ db }) => {
    const boss = await openBoss(db)
    const [client, other] = [await db.application(), await db.application()]
    const executor = { db: executorOn(client) }
    const id = randomUUID()
    await boss.insert(QUEUE, [{ id, data: { n: 1 } }], executor)
    const before = await waitingJobs(db)
    const take = async (): Promise<void> => {
      const jobs = await boss.fetch(QUEUE, { batchSize: 10, includeMetadata: true, ...executor })
      expect(jobs.map((job) => [job.id, job.retryCount])).toEqual([[id, 0]])
      await boss.deleteJob(
        QUEUE,
        jobs.map((job) => ({ id: job.id, retryCount: job.retryCount })),
        executor,
      )
    }

    await client.query('begin')
    await take()
    // Whoever else asks meanwhile neither waits nor gets it.
    expect(await boss.fetch(QUEUE, { batchSize: 10, db: executorOn(other) })).toEqual([])
    await client.query('rollback')
    expect(await waitingJobs(db)).toEqual(before)

    await client.query('begin')
    await take()
    await client.query('commit')
    expect(await waitingJobs(db)).toEqual([])
  })
})
