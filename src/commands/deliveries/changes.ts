/** `walhook deliveries resend` and `cancel`: what becomes of deliveries, decided by a person. */
import type { Command } from 'commander'
import { visibleJson } from '../../core/untrusted-text.ts'
import { askForReplay } from '../../store/replays.ts'
import { cancelDelivery } from '../../store/resend.ts'
import { deliveryId, pointInTime, statusRange, subscriptionId } from '../arguments.ts'
import type { StatusRange } from '../../core/status-range.ts'
import type { CommandContext } from '../command.ts'
import { withDatabase } from '../operator-database.ts'
import { invalidInput, refusingInput } from '../refusal.ts'
import { replaySentence } from '../replay.ts'
import { resendNamed } from '../resend.ts'

interface ResendOptions {
  readonly subscription?: string
  readonly type?: string
  readonly since?: string
  readonly until?: string
  readonly state?: 'dead' | 'delivered' | 'cancelled'
  readonly key?: string
  readonly tenant?: string
  readonly status?: StatusRange
  readonly error?: string
  readonly dryRun?: true
  readonly json?: true
}

export function addDeliveryChanges(deliveries: Command, context: CommandContext): void {
  deliveries
    .command('resend')
    .description(
      'Send deliveries again: those named at once, as `walhook resend` does, or all that pass a filter, as a replay.',
    )
    .argument(
      '[ids...]',
      "the deliveries' ids; without any, a filter",
      (text, before: readonly string[] | undefined) => [...(before ?? []), deliveryId(text)],
    )
    .option('--subscription <id>', 'whose; without it, the dead letters of all', subscriptionId)
    .option('--type <pattern>', 'only those of events of this type: order.created or order.*')
    .option(
      '--since <time>',
      "only events created since then: '2026-11-22 15:00' (UTC), or 2h",
      pointInTime(Date.now),
    )
    .option('--until <time>', 'only events created before that', pointInTime(Date.now))
    .option('--state <state>', 'dead, delivered or cancelled (default: dead)')
    .option('--key <key>', 'only those of events of this key')
    .option('--tenant <tenant>', 'only those of events of this tenant')
    .option(
      '--status <status>',
      'only those whose last attempt got this HTTP status: 503 or 5xx',
      statusRange,
    )
    .option('--error <class>', 'only those whose last attempt had this error class: timeout')
    .option('--dry-run', 'only count')
    .option('--json', 'print JSON: {"resent"} of those named, {"replays"} of a filter')
    .action((ids: readonly string[], options: ResendOptions) => resendMany(context, ids, options))
  deliveries
    .command('cancel')
    .description('Take pending deliveries off their way; all of those named, or none.')
    .argument('<ids...>', "the deliveries' ids", (text, before: readonly string[] | undefined) => [
      ...(before ?? []),
      deliveryId(text),
    ])
    .option('--json', 'print JSON: {"cancelled"}, their ids')
    .action((ids: readonly string[], options: { readonly json?: true }) => cancel(context, ids, options))
}

async function resendMany(
  context: CommandContext,
  ids: readonly string[],
  options: ResendOptions,
): Promise<void> {
  const { dryRun, json, ...filter } = options
  if (ids.length > 0) {
    if (dryRun || Object.keys(filter).length > 0)
      throw invalidInput('name deliveries or give a filter, not both')
    return resendNamed(context, ids, options)
  }
  const asked = await withDatabase(context, (database) =>
    refusingInput('filter', () =>
      database.transaction((tx) =>
        askForReplay(tx, {
          subscriptionId: filter.subscription,
          eventTypes: filter.type === undefined ? undefined : [filter.type],
          createdFrom: filter.since,
          createdTo: filter.until,
          states: filter.state === undefined ? undefined : [filter.state],
          key: filter.key,
          tenant: filter.tenant,
          status: filter.status,
          error: filter.error,
          backfill: false,
          dryRun: dryRun === true,
        }),
      ),
    ),
  )
  if (json) {
    context.terminal.print(visibleJson({ replays: asked }))
    return
  }
  if (asked.length === 0) context.terminal.print('There is nothing to send.')
  for (const one of asked) context.terminal.print(replaySentence(one, dryRun === true))
}

async function cancel(
  context: CommandContext,
  ids: readonly string[],
  options: { readonly json?: true },
): Promise<void> {
  // Each once, and in one order for everybody, as resend does.
  const cancelled = [...new Set(ids)].toSorted((a, b) => Number(BigInt(a) - BigInt(b)))
  await withDatabase(context, (database) =>
    refusingInput('id', () =>
      database.transaction(async (tx) => {
        for (const id of cancelled) await cancelDelivery(tx, id)
      }),
    ),
  )
  if (options.json) {
    context.terminal.print(visibleJson({ cancelled }))
    return
  }
  for (const id of cancelled) context.terminal.print(`delivery ${id} is cancelled`)
}
