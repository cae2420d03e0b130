/** `walhook slot`: the replication slot, how near it is to being lost, and which processes run. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { parseConfig } from '../config.ts'
import { rfc3339 } from '../core/outbox-event.ts'
import { judgeSlot } from '../core/slot-health.ts'
import { visibleJson } from '../core/untrusted-text.ts'
import { WalhookError } from '../lifecycle/errors.ts'
import { listReplicas } from '../store/replicas.ts'
import { readSlotHealth, readSlotStatus } from '../store/slot-health.ts'
import type { CommandContext } from './command.ts'
import { withDatabase } from './operator-database.ts'
import { psqlRecord, psqlTable } from './psql-table.ts'

/** How fast the log grows is told from two looks. */
const BETWEEN_LOOKS_MS = 1_000

export function addSlot(walhook: Command, context: CommandContext): void {
  walhook
    .command('slot')
    .description(
      'Show the replication slot: state, lag, retained log, time until it is lost, and who streams it.',
    )
    .option('--json', 'print JSON: {"slot", "replicas"}')
    .action((options: { readonly json?: true }) => slot(context, options))
}

async function slot(context: CommandContext, options: { readonly json?: true }): Promise<void> {
  const { terminal } = context
  const { slotName } = parseConfig(context.environment)
  const { status, verdict, replicas } = await withDatabase(context, async (database) => {
    const earlier = await readSlotHealth(database, slotName, performance.now())
    await sleep(BETWEEN_LOOKS_MS)
    const latest = await readSlotHealth(database, slotName, performance.now())
    const found = await readSlotStatus(database, slotName)
    if (latest === undefined || found === undefined)
      throw new WalhookError('not_found', `there is no slot ${slotName} of Walhook's`, {
        remedy: '`walhook run` makes it; WALHOOK_SLOT says which it is.',
      })
    return {
      status: found,
      verdict: judgeSlot(latest, earlier),
      replicas: await listReplicas(database),
    }
  })
  const shown = {
    ...status,
    risk: verdict.risk,
    cause: verdict.cause ?? null,
    seconds_until_lost: verdict.secondsUntilLost ?? null,
  }
  if (options.json) {
    const { last_event_committed_at, recorded_at, audited_at } = status
    terminal.print(
      visibleJson({
        slot: {
          ...shown,
          last_event_committed_at: isoTime(last_event_committed_at),
          recorded_at: isoTime(recorded_at),
          audited_at: isoTime(audited_at),
        },
        replicas: replicas.map((each) => ({
          ...each,
          started_at: isoTime(each.started_at),
          seen_at: isoTime(each.seen_at),
        })),
      }),
    )
    return
  }
  terminal.print(psqlRecord(shown))
  terminal.print('')
  terminal.print(
    psqlTable(['host', 'version', 'role', 'streams', 'is_gone', 'started_at', 'seen_at'], replicas),
  )
}

function isoTime(text: string | null): string | null {
  return text === null ? null : (rfc3339(text) ?? text)
}
