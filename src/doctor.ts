/**
 * Everything that can be wrong between here and a delivered webhook, looked at in the order in which an event travels.
 * Invariant: nothing is written, no lock is taken that hurts, no request is sent, and no check that fails ends another.
 */
import { type Config, withoutPassword } from './config.ts'
import { type CheckId, type Finding, ok } from './core/doctor.ts'
import { checkEndpoints, checkSecrets } from './doctor/endpoint-checks.ts'
import { Examination } from './doctor/examination.ts'
import { checkDecoding, checkSchema } from './doctor/schema-checks.ts'
import { checkServer } from './doctor/server-checks.ts'
import { checkSlot, checkSlotWal, lookAtSlot } from './doctor/slot-checks.ts'
import { checkTraffic } from './doctor/traffic-checks.ts'
import { Database } from './store/database.ts'

export interface ExaminationOptions {
  /** How many endpoints are tried at most; 0 leaves them out. */
  readonly endpoints: number
  /** Told of each check when it is done. */
  readonly onCheck: (id: CheckId) => void
}

const CONNECT_WITHIN_MS = 5_000
/** Past what a statement may take: then it is the connection that is dead. */
const ANSWER_WITHIN_MS = 8_000

/** Takes some seconds, and never rejects. */
export async function examine(config: Config, options: ExaminationOptions): Promise<readonly Finding[]> {
  await using database = new Database({
    url: config.databaseUrl,
    maxConnections: 1,
    connectWithinMs: CONNECT_WITHIN_MS,
    answerWithinMs: ANSWER_WITHIN_MS,
  })
  const examination = new Examination(database, options.onCheck)
  examination.add(
    'configuration',
    ok(`every setting can be read; the database is ${withoutPassword(config.databaseUrl)}`),
  )
  const ground = await checkServer(examination, config, database)
  const schema = await checkSchema(examination, config, ground)
  const slot = await lookAtSlot(examination, config, ground)
  await checkDecoding(examination, config, ground, schema, slot)
  const there = await checkSlot(examination, config, ground, schema, slot)
  const isStreamed = there.kind === 'known' && there.value.activePid !== undefined
  await checkTraffic(examination, config, schema.tables, isStreamed)
  const wanted = await checkSecrets(examination, config, schema.tables)
  // The second look at the slot waits a moment, which endpoints can be tried in.
  await Promise.all([
    checkEndpoints(examination, config, wanted, options.endpoints),
    checkSlotWal(examination, config, there),
  ])
  return examination.findings()
}
