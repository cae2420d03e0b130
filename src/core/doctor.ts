/**
 * What `walhook doctor` looks at, and how it says what it found. The checks stand in the order in which an event travels;
 * their ids are what people script against, so one is never renamed. docs/doctor.md has a line for each.
 */

/** Id, and what is looked at. */
export const CHECKS = {
  configuration: 'the settings',
  database: 'DATABASE_URL: reachable, and the login let in',
  replication: 'the replication URL: reachable, let in, and the same database',
  version: 'the version of Postgres',
  primary: 'whether the server is the primary',
  wal_level: 'whether the log can be decoded',
  wal_senders: 'WAL senders: used and free',
  replication_slots: 'replication slots: used and free',
  plugin: 'the output plugin, and whether the server lets it in',
  rights: 'what the login owns and may do',
  application_rights: 'whether applications may write events',
  schema: "Walhook's schema, and its version",
  jobs: "pg-boss's schema, and its version",
  outbox: 'the outbox table',
  publication: 'whether the publication brings what is inserted into the outbox',
  sources: 'the tables of WALHOOK_SOURCES',
  slot: 'the replication slot',
  sidecar: 'whether a sidecar streams the slot',
  replicas: 'the processes that run',
  slot_position: 'whether the slot vouches for everything since the recorded position',
  slot_wal: 'how much log the slot keeps, and for how long that is safe',
  slot_limit: 'max_slot_wal_keep_size',
  slot_timeouts: 'wal_sender_timeout and idle_replication_slot_timeout',
  slot_failover: 'whether the slot outlives a failover',
  transactions: 'transactions that hold the slot back',
  durability: 'whether a commit that was told is on disk',
  clock: "this machine's clock against the server's",
  gap: 'whether a search of the outbox is owed',
  malformed: 'rows that could not be events',
  dead_events: 'events that the catalog refused',
  retention: 'whether what is old is removed',
  secrets: 'whether the encryption key opens what is sealed',
  subscriptions: 'subscriptions that get nothing',
  consents: 'endpoints that did not consent',
  dead_letters: 'deliveries that died in the last day',
  blocked_keys: 'keys that wait behind a dead delivery',
  backlog: 'deliveries that are due and that nobody makes',
  proxy: 'the proxy for webhooks',
  endpoints: 'endpoints, as far as a connection and a TLS handshake',
} as const satisfies Record<string, string>

export type CheckId = keyof typeof CHECKS

/** What to do, a line each, ready to be copied: SQL, a shell's, or words where there is nothing to copy. */
export interface Step {
  readonly kind: 'sql' | 'shell' | 'do'
  readonly text: string
}

export type Verdict =
  | { readonly status: 'ok'; readonly summary: string }
  | {
      readonly status: 'warning' | 'problem'
      readonly summary: string
      /** Why it matters. */
      readonly why: string
      readonly steps: readonly Step[]
    }
  /** Not checked; `summary` is because of what. */
  | { readonly status: 'skipped'; readonly summary: string }

export type Status = Verdict['status']

export type Finding = Verdict & { readonly check: CheckId }

export function ok(summary: string): Verdict {
  return { status: 'ok', summary }
}

export function warning(summary: string, why: string, ...steps: readonly Step[]): Verdict {
  return { status: 'warning', summary, why, steps }
}

export function problem(summary: string, why: string, ...steps: readonly Step[]): Verdict {
  return { status: 'problem', summary, why, steps }
}

export function skipped(because: string): Verdict {
  return { status: 'skipped', summary: because }
}

export function sql(text: string): Step {
  return { kind: 'sql', text }
}

export function shell(text: string): Step {
  return { kind: 'shell', text }
}

export function todo(text: string): Step {
  return { kind: 'do', text }
}

/** What was found out, or why it could not be. */
export type Fact<T> =
  | { readonly kind: 'known'; readonly value: T }
  | { readonly kind: 'unknown'; readonly reason: string }

export function known<T>(value: T): Fact<T> {
  return { kind: 'known', value }
}

export function unknown(reason: string): { readonly kind: 'unknown'; readonly reason: string } {
  return { kind: 'unknown', reason }
}

/** What a fact says, or why it says nothing. */
export function judged<T>(fact: Fact<T>, judge: (value: T) => Verdict): Verdict {
  return fact.kind === 'known' ? judge(fact.value) : skipped(fact.reason)
}

export function countOf(findings: readonly Finding[]): Readonly<Record<Status, number>> {
  const counts = { ok: 0, warning: 0, problem: 0, skipped: 0 }
  for (const { status } of findings) counts[status]++
  return counts
}

/** A name as SQL has it: quoted where it has to be. */
export function sqlName(name: string): string {
  return /^[a-z_][a-z0-9_$]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`
}

/** A text as SQL has it, wherever it came from. */
export function sqlText(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`
  return text.includes('\\') ? `E${quoted.replaceAll('\\', '\\\\')}` : quoted
}

/** `1.4 GiB`. */
export function formatBytes(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']
  let amount = Math.max(0, bytes)
  let unit = 0
  while (amount >= 1024 && unit < units.length - 1) {
    amount /= 1024
    unit++
  }
  const text = unit === 0 || amount >= 100 ? String(Math.round(amount)) : amount.toFixed(1)
  return `${text.replace(/\.0$/, '')} ${units[unit]}`
}

/** About how long: `3 s`, `12 min`, `5 h`, `4 days`. */
export function formatAge(ms: number): string {
  const seconds = Math.max(0, ms) / 1000
  if (seconds < 120) return `${Math.round(seconds)} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`
  return `${Math.round(seconds / 86_400)} days`
}

/** `1 event`, `2 deliveries`, `10000 or more events` where counting stopped at `most`. */
export function plural(count: number, noun: string, most = Infinity): string {
  const nouns = /[^aeiou]y$/.test(noun) ? `${noun.slice(0, -1)}ies` : `${noun}s`
  return `${count}${count >= most ? ' or more' : ''} ${count === 1 ? noun : nouns}`
}
