/** What `walhook doctor` says of what has gone wrong on the way: events, deliveries, subscriptions and their secrets. Pure. */
import {
  formatAge,
  ok,
  plural,
  problem,
  shell,
  sql,
  sqlText,
  type Step,
  todo,
  type Verdict,
  warning,
} from './doctor.ts'
import type { UnreadableSecret } from './signing-secret.ts'

/** Counting stops there: what is wrong is wrong, however often. */
export const COUNTED_UP_TO = 10_000

const many = (count: number, noun: string): string => plural(count, noun, COUNTED_UP_TO)

export interface GapFacts {
  /** Why a search of the outbox is owed. */
  readonly owedFor: string | undefined
  /** Milliseconds since the outbox was last compared with its deliveries. */
  readonly auditedAgoMs: number | undefined
  readonly isStreamed: boolean
}

/** It runs every half minute. */
const AUDIT_IS_LATE_MS = 300_000

export function judgeGap({ owedFor, auditedAgoMs, isStreamed }: GapFacts): Verdict {
  if (owedFor === 'first_start' && !isStreamed)
    return ok('the first start looks the outbox through for what was written before there was a slot')
  if (owedFor !== undefined)
    return warning(
      `a search of the outbox is owed (${owedFor})`,
      'Events that the log did not bring get their deliveries when it is made; a sidecar makes it within half a minute.',
      ...(isStreamed
        ? [todo('where it stays owed, look for outbox.rescan_failed in the log of the sidecar that streams')]
        : [shell('walhook run')]),
    )
  if (isStreamed && auditedAgoMs !== undefined && auditedAgoMs > AUDIT_IS_LATE_MS)
    return warning(
      `the outbox was last compared with its deliveries ${formatAge(auditedAgoMs)} ago`,
      'That is what would show an event without its deliveries; it should happen every half minute.',
      todo('look for outbox.audit_failed in the log of the sidecar that streams'),
    )
  return ok('no search of the outbox is owed')
}

export function judgeMalformed(count: number): Verdict {
  if (count === 0) return ok('no row was malformed')
  return warning(
    `${many(count, 'row')} could not be an event, and ${count === 1 ? 'was' : 'were'} kept`,
    'Nobody was told of them. Walhook’s own constraints let none through: something altered the table, or a source is mapped wrongly.',
    sql('SELECT id, created_at, reason, left(raw, 200) FROM walhook.malformed ORDER BY id DESC LIMIT 10;'),
  )
}

export function judgeDeadEvents(count: number): Verdict {
  if (count === 0) return ok('the catalog refused no event')
  return warning(
    `${many(count, 'event')} did not fit the catalog, and ${count === 1 ? 'is' : 'are'} dead`,
    'They go to nobody until they are released.',
    shell('walhook dead-events list'),
    shell('walhook dead-events release --help'),
  )
}

export interface RetentionFacts {
  /** Of the table for which it was longest ago; undefined before the first time. */
  readonly appliedAgoMs: number | undefined
  /** Whether the outbox holds events that are older than a day more than it keeps them. */
  readonly outboxHoldsOld: boolean
  readonly isStreamed: boolean
}

/** It is applied every hour. */
const RETENTION_IS_LATE_MS = 3 * 3_600_000

export function judgeRetention({ appliedAgoMs, outboxHoldsOld, isStreamed }: RetentionFacts): Verdict {
  if (isStreamed && appliedAgoMs !== undefined && appliedAgoMs > RETENTION_IS_LATE_MS)
    return warning(
      `retention was last applied ${formatAge(appliedAgoMs)} ago`,
      'It should be every hour: tables grow.',
      todo('look for retention.failed in the logs'),
    )
  if (outboxHoldsOld)
    return warning(
      'the outbox holds events that are older than WALHOOK_RETENTION keeps them',
      'Events stay while a delivery of theirs is pending, parked ones too, or while they are dead.',
      sql('SELECT * FROM walhook.backlog ORDER BY oldest_at LIMIT 10;'),
      sql('SELECT * FROM walhook.space ORDER BY total_bytes DESC LIMIT 10;'),
    )
  return ok('what is old is removed')
}

export interface SecretFacts {
  readonly unreadable: readonly UnreadableSecret[]
  /** Keys that sealed something and are not in WALHOOK_ENCRYPTION_KEY. */
  readonly missingKeyIds: readonly string[]
  readonly hasKey: boolean
  /** Subscriptions with something plain. */
  readonly plain: number
  readonly lookedAt: number
  readonly all: number
}

const SHOWN = 5

export function judgeSecrets(facts: SecretFacts): Verdict {
  const { unreadable, missingKeyIds, hasKey, plain, lookedAt, all } = facts
  const part = lookedAt < all ? ` (of ${all} subscriptions, ${lookedAt} were looked at)` : ''
  const ids = [...new Set(unreadable.map(({ id }) => id))]
  if (missingKeyIds.length > 0)
    return problem(
      `secrets are sealed with a key that WALHOOK_ENCRYPTION_KEY does not have: ${missingKeyIds.join(', ')}${part}`,
      'They cannot be opened: `walhook run` refuses to start.',
      todo(`name the key with id ${missingKeyIds.join(', ')} in WALHOOK_ENCRYPTION_KEY, after a comma`),
      todo('where it is lost: docs/operations.md, "Secrets at rest"'),
    )
  if (ids.length > 0)
    return problem(
      `secrets, credentials or certificates of ${plural(ids.length, 'subscription')} cannot be used${part}: ${unreadable
        .slice(0, SHOWN)
        .map(({ id, column, reason }) => `${column} of ${id} (${reason})`)
        .join(', ')}${unreadable.length > SHOWN ? ', …' : ''}`,
      'Nothing is sent for them; their deliveries wait.',
      ...unreadable.slice(0, SHOWN).map(mended),
    )
  if (hasKey && plain > 0)
    return warning(
      `${plural(plain, 'subscription')} ${plain === 1 ? 'has' : 'have'} secrets that are not sealed`,
      'A sidecar that has the key seals them within a second or so: none with the key runs.',
      shell('walhook run'),
    )
  return ok(
    hasKey
      ? `the key opens every secret${part}`
      : `no WALHOOK_ENCRYPTION_KEY is set: secrets stand in walhook.subscriptions as they are${part}`,
  )
}

function mended({ id, column }: UnreadableSecret): Step {
  switch (column) {
    case 'secret':
    case 'previous_secret':
      return sql(`SELECT walhook.rotate_secret(${sqlText(id)}, overlap => '0');`)
    case 'ed25519_key':
      return sql(
        `UPDATE walhook.subscriptions SET ed25519_key = NULL WHERE id = ${sqlText(id)}; -- another is made`,
      )
    case 'auth':
    case 'tls':
      return sql(`UPDATE walhook.subscriptions SET ${column} = '…' WHERE id = ${sqlText(id)};`)
    default:
      return column satisfies never
  }
}

export interface SubscriptionFacts {
  readonly active: number
  readonly paused: number
  readonly disabled: number
  readonly failing: number
  /** Some of those that are disabled, with why. */
  readonly examples: readonly { readonly id: string; readonly reason: string }[]
}

export function judgeSubscriptions(facts: SubscriptionFacts): Verdict {
  const { active, paused, disabled, failing, examples } = facts
  if (active + paused + disabled === 0)
    return warning(
      'there is no subscription',
      'Events are relayed to nobody.',
      shell("walhook subscribe https://example.com/hooks --event-types 'order.*'"),
    )
  const counts = [`${active} active`, `${paused} paused`, `${disabled} disabled`].join(', ')
  if (disabled > 0)
    return warning(
      `subscriptions: ${counts}`,
      `What is owed to those that are disabled is parked: ${examples.map(({ id, reason }) => `${id} (${reason})`).join(', ')}${disabled > examples.length ? ', …' : ''}.`,
      ...examples.map(({ id }) =>
        sql(`SELECT walhook.resume(${sqlText(id)}); -- once its endpoint is mended`),
      ),
    )
  if (failing > 0)
    return warning(
      `subscriptions: ${counts}; ${failing} of them failing`,
      'One that fails for too long is disabled.',
      sql(
        'SELECT * FROM walhook.subscription_health WHERE failing_since IS NOT NULL ORDER BY failing_since;',
      ),
    )
  return ok(`subscriptions: ${counts}`)
}

export function judgeConsents({
  needed,
  refused,
}: {
  readonly needed: number
  readonly refused: number
}): Verdict {
  if (refused > 0)
    return warning(
      `${plural(refused, 'endpoint')} did not consent`,
      'Nothing is sent to them; they are asked again when a delivery waits.',
      sql("SELECT * FROM walhook.consent_status WHERE consent = 'refused';"),
    )
  return ok(needed === 0 ? 'no endpoint has to be asked for its consent' : 'no endpoint refused its consent')
}

export interface DeadLetterFacts {
  readonly count: number
  /** The subscription that has most of them, and what they mostly died of. */
  readonly most:
    | { readonly subscriptionId: string; readonly error: string; readonly count: number }
    | undefined
}

export function judgeDeadLetters({ count, most }: DeadLetterFacts): Verdict {
  if (count === 0) return ok('no delivery died in the last day')
  return warning(
    `${many(count, 'delivery')} died in the last day${
      most === undefined || most.count * 2 < count
        ? ''
        : `, ${most.count} of them of ${most.error} for subscription ${most.subscriptionId}`
    }`,
    'They are not attempted again by themselves.',
    shell('walhook deliveries list --state dead'),
    shell(
      'walhook replay --states dead --dry-run # counts; without --dry-run it sends them again, once the endpoint is mended',
    ),
  )
}

export function judgeBlockedKeys(count: number): Verdict {
  if (count === 0) return ok('no key is blocked')
  return warning(
    `${many(count, 'key')} wait${count === 1 ? 's' : ''} behind a dead delivery`,
    'With on_dead = block, what follows it is not sent.',
    shell('walhook keys list'),
    shell('walhook resend DELIVERY # or: walhook keys release SUBSCRIPTION KEY'),
  )
}

export interface BacklogFacts {
  /** Deliveries of active subscriptions that were due for a while and that nobody took. */
  readonly overdue: number
  readonly oldestMs: number | undefined
}

export function judgeBacklog({ overdue, oldestMs = 0 }: BacklogFacts, isStreamed: boolean): Verdict {
  if (overdue === 0) return ok('no delivery is overdue')
  const summary = `${many(overdue, 'delivery')} ${overdue === 1 ? 'is' : 'are'} overdue, by up to ${formatAge(oldestMs)}`
  const look = sql('SELECT * FROM walhook.backlog ORDER BY oldest_at LIMIT 10;')
  if (!isStreamed)
    return problem(summary, 'No sidecar runs that would make them.', shell('walhook run'), look)
  return warning(
    summary,
    'The sidecars do not keep up: their endpoints are slow, a rate limit holds them, or too little may be in flight.',
    look,
    todo('raise WALHOOK_MAX_IN_FLIGHT, or run more replicas; see docs/operations.md, "Tuning"'),
  )
}
