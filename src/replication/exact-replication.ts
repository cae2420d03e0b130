/**
 * pg-logical-replication, kept from acknowledging anything. Of its own accord it confirms the last LSN it received,
 * whether or not that was recorded, and adds 1 to an LSN that already is "last byte + 1": both lose events. Here its
 * acknowledgement does nothing, and the status updates that Postgres reads are written by us, with exact positions.
 * The only importer of the library, and pinned to the version that its contract test was written against.
 */
import type { Socket } from 'node:net'
import pg from 'pg'
import { LogicalReplicationService } from 'pg-logical-replication'
import type { Lsn } from '../core/lsn.ts'

/** Microseconds from 1970 to 2000, where Postgres's clock begins. */
const POSTGRES_EPOCH_US = 946_684_800_000_000n

/** pg's protocol connection, as far as we use it; pg's types do not show it. */
interface ReplicationConnection {
  readonly stream: Socket
  sendCopyFromChunk(chunk: Buffer): void
  end(): void
}

/** The library as it is at run time: its types hide what has to be put right. Its contract test compares the two. */
interface Library extends Pick<LogicalReplicationService, 'stop' | 'destroy' | 'on' | 'emit' | 'subscribe'> {
  readonly clientConfig: pg.ClientConfig
  _client: pg.Client | null
  _connection: ReplicationConnection | null
  client(): Promise<[pg.Client, ReplicationConnection]>
  acknowledge(): Promise<boolean>
}

const Library = LogicalReplicationService as unknown as new (
  config: pg.ClientConfig,
  options: { acknowledge: { auto: boolean; timeoutSeconds: number } },
) => Library

export class ExactReplication extends Library {
  constructor(config: pg.ClientConfig) {
    super(config, { acknowledge: { auto: false, timeoutSeconds: 0 } })
  }

  /**
   * Hears errors from before it connects: the library listens only afterwards, and a server that ends the connection in
   * the very packet that accepts it would end this process.
   */
  override async client(): Promise<[pg.Client, ReplicationConnection]> {
    await this.stop()
    const config: pg.ClientConfig & { replication: 'database' } = {
      ...this.clientConfig,
      replication: 'database',
    }
    const client = new pg.Client(config)
    client.on('error', (error) => this.emit('error', error))
    this._client = client
    await client.connect()
    const { connection } = client as pg.Client & { readonly connection: ReplicationConnection }
    this._connection = connection
    return [client, connection]
  }

  /** Every acknowledgement of the library's ends here. */
  override async acknowledge(): Promise<boolean> {
    return true
  }

  /**
   * A standby status update: everything before `flushed` is durable here. Zero confirms nothing and means "alive".
   * `ping` asks for an answer. https://www.postgresql.org/docs/current/protocol-replication.html
   */
  sendStatus(flushed: Lsn, ping: boolean): void {
    const update = Buffer.alloc(34)
    update.write('r', 0)
    update.writeBigUInt64BE(flushed, 1)
    update.writeBigUInt64BE(flushed, 9)
    update.writeBigUInt64BE(flushed, 17)
    update.writeBigInt64BE(BigInt(Date.now()) * 1000n - POSTGRES_EPOCH_US, 25)
    update.writeUInt8(ping ? 1 : 0, 33)
    this._connection?.sendCopyFromChunk(update)
  }

  pauseReading(): void {
    this._connection?.stream.pause()
  }

  resumeReading(): void {
    this._connection?.stream.resume()
  }

  /**
   * Says goodbye, and leaves it to Postgres to close. The library's own stop closes at once: with unread data in the socket
   * that is a reset, and takes a status update along that Postgres has not read yet.
   */
  sayGoodbye(): void {
    this._connection?.end()
  }

  /** For a peer that no longer answers. */
  cut(): void {
    this._connection?.stream.destroy()
  }
}

/**
 * Hands over the plugin's messages as they are: views into a buffer that is used again once the listener has returned, so that what is
 * to be kept of one must be copied, as a text of it is. A copy of each was 40 MiB resident and 9 % of the CPU of events of 10 kB.
 */
export class RawPlugin {
  readonly name: string
  /** START_REPLICATION's, each `"name" 'value'`, quoted by the caller. */
  readonly options: readonly string[]

  constructor(name: string, options: readonly string[]) {
    this.name = name
    this.options = options
  }

  parse(message: Buffer): Buffer {
    return message
  }

  /** Always from 0/0: the server knows where the slot stands, and never sends what it was told is durable. */
  start(client: pg.Client, slotName: string): Promise<unknown> {
    return client.query(`START_REPLICATION SLOT "${slotName}" LOGICAL 0/0 (${this.options.join(', ')})`)
  }
}
