/**
 * What `walhook doctor` says of the output plugin: which one decodes or would, whether the server has it, and whether it lets
 * it in. Pure.
 */
import { ok, problem, skipped, sql, sqlName, sqlText, type Step, todo, type Verdict } from './doctor.ts'

export interface PluginFacts {
  readonly login: string
  readonly choice: 'auto' | 'wal2json' | 'pgoutput'
  /** Of the slot that is there. */
  readonly slotPlugin: string | undefined
  readonly slotIsActive: boolean
  /** What Walhook itself has against the slot's plugin, or against the one that was asked for. */
  readonly refusal: { readonly message: string; readonly remedy: string | undefined } | undefined
  /** Whether `auto` would try wal2json: the database is UTF-8, and nothing is partitioned. */
  readonly wal2jsonFits: boolean
  /** Undefined where nobody but a superuser may look. */
  readonly hasWal2json: boolean | undefined
  readonly allowList: AllowList
}

export type AllowList =
  /** The setting as Postgres shows it. */
  | { readonly kind: 'list'; readonly text: string }
  /** The server is too old to have one, and lets every plugin in. */
  | { readonly kind: 'none' }
  /** Postgres shows it to superusers, and to members of pg_read_all_settings. */
  | { readonly kind: 'hidden' }

/** The minor release of each major one that brought `output_plugin_libraries`. */
const ALLOW_LIST_SINCE: Readonly<Record<number, number>> = { 14: 23, 15: 19, 16: 15, 17: 11, 18: 6 }

export function allowListOf(version: number, shown: string | undefined): AllowList {
  if (shown !== undefined) return { kind: 'list', text: shown }
  const major = Math.floor(version / 10_000)
  const since = major > 18 ? 0 : (ALLOW_LIST_SINCE[major] ?? Infinity)
  return { kind: version % 10_000 >= since ? 'hidden' : 'none' }
}

export function judgePlugin(facts: PluginFacts): Verdict {
  const { choice, slotPlugin, refusal, allowList } = facts
  if (refusal !== undefined)
    return problem(
      refusal.message,
      'Walhook does not start, so that no event is lost or garbled without a word.',
      ...(refusal.remedy === undefined ? [] : [todo(refusal.remedy)]),
    )
  const isAllowed = (plugin: string): boolean =>
    allowList.kind !== 'list' || listedPlugins(allowList.text).includes(plugin)
  const there = slotPlugin ?? (choice === 'auto' ? undefined : choice)
  if (there !== undefined) {
    if (!isAllowed(there)) return refused(there, allowList, slotPlugin !== undefined)
    if (there === 'wal2json' && facts.hasWal2json === false && !facts.slotIsActive) return lacking(slotPlugin)
    if (there === 'wal2json' && allowList.kind === 'hidden' && !facts.slotIsActive)
      return skipped(
        `whether output_plugin_libraries lists wal2json is shown to members of pg_read_all_settings: GRANT pg_read_all_settings TO ${sqlName(facts.login)}`,
      )
    return ok(
      slotPlugin === undefined ? `the slot will decode with ${there}` : `the slot decodes with ${there}`,
    )
  }
  if (facts.wal2jsonFits && isAllowed('wal2json') && facts.hasWal2json !== false)
    return ok(
      facts.hasWal2json === true
        ? 'the slot will decode with wal2json'
        : 'the slot will decode with wal2json if the server has it and lets it in, else with pgoutput (only a superuser can look)',
    )
  if (!isAllowed('pgoutput')) return refused('pgoutput', allowList, false)
  return ok(`the slot will decode with pgoutput${whyNotWal2json(facts, isAllowed('wal2json'))}`)
}

function whyNotWal2json({ hasWal2json, wal2jsonFits }: PluginFacts, isAllowed: boolean): string {
  if (!wal2jsonFits) return ': wal2json does not fit this database'
  if (hasWal2json === true && !isAllowed) return ': the server has wal2json, and does not list it'
  return ''
}

/** The line keeps what is listed. Items stand unquoted: one quoted string would be stored as one wrong name. */
function refused(plugin: string, allowList: AllowList, hasSlot: boolean): Verdict {
  const listed = allowList.kind === 'list' ? listedPlugins(allowList.text) : []
  // One name that holds a comma was meant to be several.
  const meant = [...new Set(listed.flatMap((item) => item.split(',').map((part) => part.trim())))].filter(
    (item) => item !== '' && item !== plugin,
  )
  const isMisread = listed.some((item) => item.includes(','))
  return problem(
    `output_plugin_libraries does not list ${plugin}${isMisread ? ': it was set as one quoted string, which is one wrong name' : ''}`,
    hasSlot
      ? 'Postgres refuses plugins that are not listed, for a slot that exists too: nothing can be read, and the slot keeps log until the disk is full.'
      : 'Postgres refuses plugins that are not listed: the slot cannot be made.',
    sql(`ALTER SYSTEM SET output_plugin_libraries = ${[...meant, plugin].map(listItem).join(', ')};`),
    sql('SELECT pg_reload_conf();'),
    ...(plugin === 'pgoutput' ? [] : [otherwise(hasSlot)]),
  )
}

function lacking(slotPlugin: string | undefined): Verdict {
  return problem(
    'the server does not have the plugin wal2json',
    slotPlugin === undefined
      ? 'The slot cannot be made with it.'
      : 'What the slot holds cannot be read, and it keeps log until the disk is full.',
    todo(
      "install it on the server: apt-get install postgresql-NN-wal2json, or your service's way to switch it on",
    ),
    otherwise(slotPlugin !== undefined),
  )
}

function otherwise(hasSlot: boolean): Step {
  return todo(
    hasSlot
      ? 'or set WALHOOK_PLUGIN=pgoutput and another WALHOOK_SLOT, start, and then drop the old slot'
      : 'or set WALHOOK_PLUGIN=pgoutput',
  )
}

function listItem(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : sqlText(name)
}

/** The items of a list of names as Postgres prints them: those that need it in double quotes. */
export function listedPlugins(setting: string): readonly string[] {
  const items = setting.match(/"(?:[^"]|"")*"|[^,\s][^,]*/g) ?? []
  return items.map((item) =>
    item.startsWith('"') ? item.slice(1, -1).replaceAll('""', '"') : item.trim().toLowerCase(),
  )
}
