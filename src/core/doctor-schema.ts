/** What `walhook doctor` says of rights, schemas, the outbox and the publication. Pure. */
import { ok, plural, problem, shell, sql, sqlName, type Step, todo, type Verdict, warning } from './doctor.ts'

export interface RightFacts {
  readonly login: string
  readonly isSuperuser: boolean
  readonly database: string
  readonly mayCreate: boolean
  /** Those of the two schemas that are there and belong to others. */
  readonly foreignSchemas: readonly { readonly name: string; readonly owner: string }[]
  /** Tables, views, sequences and functions in them that belong to others, as ALTER names them; a few of many. */
  readonly foreignObjects: readonly string[]
  readonly hasSchema: boolean
  readonly hasPublication: boolean
  readonly ownsPublication: boolean
  readonly publication: string
}

export function judgeRights(facts: RightFacts): Verdict {
  const { login, database, foreignSchemas, foreignObjects } = facts
  if (facts.isSuperuser)
    return ok(
      `${login} is a superuser; sql/roles.sql makes a login that may do what Walhook needs and no more`,
    )
  const to = sqlName(login)
  const steps: Step[] = []
  if (!facts.mayCreate && !(facts.hasSchema && facts.hasPublication))
    steps.push(sql(`GRANT CREATE ON DATABASE ${sqlName(database)} TO ${to};`))
  for (const { name } of foreignSchemas) steps.push(sql(`ALTER SCHEMA ${sqlName(name)} OWNER TO ${to};`))
  for (const object of foreignObjects) steps.push(sql(`ALTER ${object} OWNER TO ${to};`))
  if (steps.length === 0 && facts.hasPublication && !facts.ownsPublication)
    return warning(
      `publication ${facts.publication} belongs to another login than ${login}`,
      'Walhook cannot put the outbox back into it, should it be replaced.',
      sql(`ALTER PUBLICATION ${sqlName(facts.publication)} OWNER TO ${to};`),
    )
  if (steps.length === 0) return ok(`${login} owns what Walhook needs, and is no superuser`)
  const lacks = [
    ...(foreignSchemas.length + foreignObjects.length > 0 ? ['does not own what is in its schemas'] : []),
    ...(!facts.mayCreate && !facts.hasSchema ? ['may not make its schemas'] : []),
    ...(!facts.mayCreate && facts.hasSchema && !facts.hasPublication ? ['may not make a publication'] : []),
  ]
  return problem(
    `${login} ${lacks.join(' and ')}`,
    'It migrates, records and publishes: without these rights it stops at the first of them.',
    ...owners(foreignSchemas).map((owner) =>
      todo(`let ${owner}, who owns them, be the login of DATABASE_URL; or, as a superuser:`),
    ),
    ...steps,
  )
}

function owners(schemas: RightFacts['foreignSchemas']): readonly string[] {
  return [...new Set(schemas.map(({ owner }) => owner))]
}

export interface ApplicationRights {
  readonly hasRole: boolean
  readonly mayUseSchema: boolean
  readonly mayInsert: boolean
  readonly mayPublish: boolean
}

export function judgeApplicationRights(facts: ApplicationRights): Verdict {
  if (!facts.hasRole) return ok('there is no role walhook_app: who may write events is your own affair')
  if (facts.mayUseSchema && facts.mayInsert && facts.mayPublish)
    return ok('members of walhook_app may write events')
  return problem(
    'members of walhook_app may not write events',
    'The INSERT of an application fails, and its transaction with it.',
    sql('GRANT USAGE ON SCHEMA walhook TO walhook_app;'),
    sql('GRANT INSERT ON walhook.outbox TO walhook_app;'),
    shell('walhook migrate # grants what applications call'),
  )
}

export interface SchemaFacts {
  readonly exists: boolean
  /** The newest migration that has run here, and that this version knows. */
  readonly newest: number
  readonly known: number
  readonly missing: readonly string[]
  /** Migrations that ran here with another content. */
  readonly changed: readonly string[]
  /** Functions and views are not those of this version. */
  readonly functionsDiffer: boolean
  readonly autoMigrate: boolean
}

const MIGRATE = shell('walhook migrate')

export function judgeSchema(facts: SchemaFacts): Verdict {
  if (!facts.exists)
    return problem(
      'this database has no schema walhook yet',
      'There is no outbox to write events to.',
      MIGRATE,
      todo('where a DBA makes the roles: psql -v walhook_password=… -f sql/roles.sql first'),
    )
  if (facts.newest > facts.known)
    return problem(
      `the schema is at migration ${facts.newest}, and this Walhook knows only ${facts.known}`,
      'A newer Walhook migrated this database; this one refuses to start.',
      todo('run a Walhook that is at least as new'),
    )
  if (facts.changed.length > 0)
    return problem(
      `migrations ran here with another content: ${facts.changed.join(', ')}`,
      'A released migration never changes; this Walhook refuses to start on what another build made.',
      todo('run the Walhook release that migrated this database'),
    )
  if (facts.missing.length > 0)
    return problem(
      `the schema lacks ${facts.missing.join(', ')}`,
      facts.autoMigrate
        ? 'The next start of `walhook run` migrates; until then this version does not work here.'
        : 'With WALHOOK_AUTO_MIGRATE=false, `walhook run` refuses to start.',
      MIGRATE,
    )
  if (facts.functionsDiffer)
    return warning(
      'functions and views are not those of this version',
      'What psql shows may differ from what this Walhook documents.',
      MIGRATE,
    )
  return ok(`the schema is at migration ${facts.newest}, as this version wants it`)
}

/** Undefined where it is not installed. */
export function judgeJobs(facts: {
  readonly installed: number | undefined
  readonly wanted: number
  readonly hasQueue: boolean
}): Verdict {
  const { installed, wanted, hasQueue } = facts
  if (installed === undefined || !hasQueue)
    return problem(
      `pg-boss ${installed === undefined ? 'is not installed in schema walhook_jobs' : 'lacks the queue of retries'}`,
      'It rings when a retry is due.',
      MIGRATE,
    )
  if (installed < wanted)
    return problem(
      `pg-boss's schema is at version ${installed}, and this Walhook wants ${wanted}`,
      'Retries cannot be scheduled before it is migrated.',
      MIGRATE,
    )
  if (installed > wanted)
    return warning(
      `pg-boss's schema is at version ${installed}, and this Walhook knows ${wanted}`,
      'A newer Walhook migrated it.',
      todo('run a Walhook that is at least as new'),
    )
  return ok(`pg-boss's schema is at version ${installed}`)
}

export interface OutboxFacts {
  /** Postgres's relkind and relpersistence; undefined where there is no such table. */
  readonly kind: string | undefined
  readonly persistence: string | undefined
}

export function judgeOutbox({ kind, persistence }: OutboxFacts): Verdict {
  if (kind === undefined)
    return problem(
      'there is no table walhook.outbox',
      'It was renamed or dropped: what applications write does not reach Walhook.',
      todo('give it its name back: ALTER TABLE walhook.… RENAME TO outbox;'),
    )
  if (kind !== 'r' && kind !== 'p')
    return problem(
      'walhook.outbox is no table',
      'Only what is inserted into a table reaches the log.',
      MIGRATE,
    )
  if (persistence === 'u')
    return problem(
      'walhook.outbox is UNLOGGED',
      'Its rows never reach the log, so no event is relayed.',
      sql('ALTER TABLE walhook.outbox SET LOGGED;'),
    )
  return ok('the outbox is an ordinary table')
}

export interface PublicationFacts {
  readonly name: string
  readonly exists: boolean
  readonly publishesInsert: boolean
  readonly viaRoot: boolean
  readonly hasOutbox: boolean
  /** A WHERE, or a list of columns, on the outbox. */
  readonly isNarrowed: boolean
  readonly outboxIsPartitioned: boolean
  /** What decodes the slot goes by the publication. */
  readonly isUsed: boolean
}

export function judgePublication(facts: PublicationFacts): Verdict {
  const name = sqlName(facts.name)
  const why = facts.isUsed
    ? 'pgoutput brings what the publication holds, and passes over the rest.'
    : 'wal2json does not go by it, but pgoutput would.'
  const say = facts.isUsed ? problem : warning
  if (!facts.exists) return say(`there is no publication ${facts.name}`, why, MIGRATE)
  if (!facts.hasOutbox) return say(`publication ${facts.name} does not hold walhook.outbox`, why, MIGRATE)
  if (!facts.publishesInsert)
    return say(
      `publication ${facts.name} does not publish inserts`,
      why,
      sql(`ALTER PUBLICATION ${name} SET (publish = 'insert');`),
    )
  if (facts.isNarrowed)
    return say(
      `publication ${facts.name} holds a part of walhook.outbox only: a WHERE, or a list of columns`,
      why,
      sql(`ALTER PUBLICATION ${name} DROP TABLE walhook.outbox;`),
      sql(`ALTER PUBLICATION ${name} ADD TABLE walhook.outbox;`),
    )
  if (facts.outboxIsPartitioned && !facts.viaRoot)
    return say(
      `publication ${facts.name} publishes the outbox's partitions under their own names`,
      'Walhook does not know them.',
      sql(`ALTER PUBLICATION ${name} SET (publish_via_partition_root = true);`),
    )
  return ok(`publication ${facts.name} brings what is inserted into the outbox`)
}

/** What Walhook has against tables of WALHOOK_SOURCES. */
export function judgeSources(
  count: number,
  unfit: readonly { readonly reason: string; readonly remedy: string }[],
): Verdict {
  if (count === 0) return ok('WALHOOK_SOURCES names none')
  if (unfit.length === 0) return ok(`${plural(count, 'table')} of WALHOOK_SOURCES can be read`)
  return problem(
    unfit.map(({ reason }) => reason).join('; '),
    '`walhook run` refuses to start; one that runs leaves these tables out.',
    ...unfit.map(({ remedy }) => todo(remedy)),
  )
}
