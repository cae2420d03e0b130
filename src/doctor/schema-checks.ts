/** What Walhook owns in the database, and what it needs to be let do there. */
import type { Config } from '../config.ts'
import { type Fact, judged, known, skipped, unknown } from '../core/doctor.ts'
import { allowListOf, judgePlugin, type PluginFacts } from '../core/doctor-plugin.ts'
import {
  judgeApplicationRights,
  judgeJobs,
  judgeOutbox,
  judgePublication,
  judgeRights,
  judgeSchema,
  judgeSources,
} from '../core/doctor-schema.ts'
import { type ServerFacts, settingOf } from '../core/doctor-server.ts'
import type { SlotFacts } from '../core/doctor-slot.ts'
import { judgeSource, type SourceTable } from '../core/source-check.ts'
import { WalhookError } from '../lifecycle/errors.ts'
import { assertPluginIsFaithful, pluginOfSlot } from '../replication/slot.ts'
import { readJobsState } from '../store/jobs.ts'
import { readSchemaState } from '../store/migrate.ts'
import { readApplicationRights, readOutboxKind, readPublication, readRights } from '../store/right-facts.ts'
import { hasLibrary } from '../store/server-facts.ts'
import { readSourceTables } from '../store/source-tables.ts'
import type { Examination } from './examination.ts'
import type { ServerKnown } from './server-checks.ts'

export interface SchemaKnown {
  /** Known where the tables are there as this version wants them; what it is worth is that alone. */
  readonly tables: Fact<true>
  readonly schemaExists: Fact<boolean>
  readonly outboxIsPartitioned: Fact<boolean>
  readonly sources: Fact<readonly SourceTable[]>
}

export async function checkSchema(
  examination: Examination,
  config: Config,
  { server }: ServerKnown,
): Promise<SchemaKnown> {
  const rights = await examination.askAfter(server, (tx) => readRights(tx, config.publicationName))
  examination.add('rights', judged(rights, judgeRights))

  const schema = await examination.askAfter(server, readSchemaState)
  examination.add(
    'schema',
    judged(schema, (state) => judgeSchema({ ...state, autoMigrate: config.autoMigrate })),
  )
  const exists: Fact<true> =
    rights.kind === 'unknown'
      ? rights
      : rights.value.hasSchema
        ? known(true)
        : unknown('there is no schema walhook')

  const applications = await examination.askAfter(exists, readApplicationRights)
  examination.add('application_rights', judged(applications, judgeApplicationRights))
  const jobs = await examination.askAfter(exists, readJobsState)
  examination.add('jobs', judged(jobs, judgeJobs))
  const outbox = await examination.askAfter(exists, readOutboxKind)
  examination.add('outbox', judged(outbox, judgeOutbox))

  const sources = await checkSources(examination, config, server)
  const isCurrent =
    schema.kind === 'known' && schema.value.missing.length === 0 && schema.value.newest <= schema.value.known
  const whyNot = schema.kind === 'unknown' ? schema.reason : 'the schema is not the one of this version'
  return {
    tables: exists.kind === 'unknown' || isCurrent ? exists : unknown(whyNot),
    schemaExists: rights.kind === 'known' ? known(rights.value.hasSchema) : rights,
    outboxIsPartitioned: outbox.kind === 'known' ? known(outbox.value.kind === 'p') : known(false),
    sources,
  }
}

async function checkSources(
  examination: Examination,
  config: Config,
  server: Fact<ServerFacts>,
): Promise<Fact<readonly SourceTable[]>> {
  const found = await examination.askAfter(server, (tx) => readSourceTables(tx, config.sources))
  if (found.kind === 'unknown') {
    examination.add('sources', skipped(found.reason))
    return found
  }
  const verdicts = config.sources.map((wish, i) => judgeSource(wish, found.value[i]))
  const unfit = verdicts.filter((verdict) => verdict.kind === 'unfit')
  examination.add('sources', judgeSources(config.sources.length, unfit))
  return known(verdicts.flatMap((verdict) => (verdict.kind === 'fit' ? [verdict.source] : [])))
}

/** What stands on both: which plugin decodes, and whether the publication feeds it. */
export async function checkDecoding(
  examination: Examination,
  config: Config,
  { server }: ServerKnown,
  schema: SchemaKnown,
  slot: Fact<SlotFacts>,
): Promise<void> {
  const slotPlugin = slot.kind === 'known' && slot.value.exists ? slot.value.plugin : undefined
  const library = await examination.askAfter(server, (tx) => hasLibrary(tx, 'wal2json'))
  examination.add(
    'plugin',
    judged(server, (facts) =>
      judgePlugin(
        pluginFacts(config, facts, schema, slotPlugin, library.kind === 'known' ? library.value : undefined),
      ),
    ),
  )
  const exists: Fact<true> =
    schema.schemaExists.kind === 'known' && !schema.schemaExists.value
      ? unknown('there is no schema walhook')
      : server.kind === 'known'
        ? known(true)
        : server
  const publication = await examination.askAfter(exists, (tx) => readPublication(tx, config.publicationName))
  examination.add(
    'publication',
    judged(publication, (found) =>
      judgePublication({
        ...found,
        name: config.publicationName,
        outboxIsPartitioned: partitioned(schema),
        isUsed: slotPlugin !== 'wal2json',
      }),
    ),
  )
}

function pluginFacts(
  config: Config,
  server: ServerFacts,
  schema: SchemaKnown,
  slotPlugin: string | undefined,
  hasWal2json: boolean | undefined,
): PluginFacts {
  const sources = schema.sources.kind === 'known' ? schema.sources.value : []
  const database = { isUtf8: server.isUtf8, outboxIsPartitioned: partitioned(schema) }
  return {
    login: server.login,
    choice: config.plugin,
    slotPlugin,
    slotIsActive: server.slotIsActive,
    refusal: refusalOf(() => {
      if (slotPlugin !== undefined)
        pluginOfSlot(config, { ...database, slot: { plugin: slotPlugin } }, sources)
      else if (config.plugin === 'wal2json') assertPluginIsFaithful('wal2json', database, sources)
    }),
    wal2jsonFits: refusalOf(() => assertPluginIsFaithful('wal2json', database, sources)) === undefined,
    hasWal2json,
    allowList: allowListOf(server.version, settingOf(server, 'output_plugin_libraries')),
  }
}

/** What the start itself would say. */
function refusalOf(choose: () => void): PluginFacts['refusal'] {
  try {
    choose()
    return undefined
  } catch (error) {
    if (!(error instanceof WalhookError)) throw error
    return { message: error.message, remedy: error.remedy }
  }
}

function partitioned({ outboxIsPartitioned }: SchemaKnown): boolean {
  return outboxIsPartitioned.kind === 'known' && outboxIsPartitioned.value
}
