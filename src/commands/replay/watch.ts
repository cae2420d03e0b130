/** `walhook replay --wait`: a line whenever a replay has come further, until all of them are over. */
import { visibleJson } from '../../core/untrusted-text.ts'
import { Wake } from '../../lifecycle/wake.ts'
import { WalhookError } from '../../lifecycle/errors.ts'
import { listReplays, type ReplayStatus } from '../../store/replays.ts'
import type { CommandContext } from '../command.ts'
import { withDatabase } from '../operator-database.ts'

const LOOK_EVERY_MS = 500

/** Errors: `replay_unfinished`, where one failed or was stopped. */
export async function watchReplays(
  context: CommandContext,
  ids: readonly string[],
  options: { readonly json?: true },
): Promise<void> {
  const { terminal } = context
  const stopped = context.stopped()
  const told = new Map<string, string>()
  let replays: readonly ReplayStatus[] = []
  await withDatabase(context, async (database) => {
    for (;;) {
      replays = await listReplays(database, { ids, tenant: null, limit: ids.length })
      for (const replay of replays) {
        const line = progress(replay)
        if (told.get(replay.id) !== line && !options.json) terminal.print(line)
        told.set(replay.id, line)
      }
      if (stopped.aborted || replays.every(({ state }) => state !== 'running')) return
      await new Wake().sleep(LOOK_EVERY_MS, stopped)
    }
  })
  if (options.json) terminal.print(visibleJson({ replays }))
  const unfinished = replays.filter(({ state }) => state === 'failed' || state === 'stopped')
  if (unfinished.length > 0)
    throw new WalhookError('replay_unfinished', unfinished.map(whyNot).join('; '), {
      remedy: 'Once what was in the way is gone: `walhook replay continue <id>`.',
    })
}

function progress({
  id,
  state,
  replayed,
  total,
  percent,
  remaining,
  waits_for: waitsFor,
}: ReplayStatus): string {
  const how = [
    `replay ${id}: ${state}, ${replayed} of ${total} (${percent} %)`,
    ...(state === 'running' && remaining !== null ? [`${remaining} to go`] : []),
    ...(waitsFor === null ? [] : [`waits for ${waitsFor}`]),
  ]
  return how.join(', ')
}

function whyNot({ id, state, reason }: ReplayStatus): string {
  return `replay ${id} ${state === 'stopped' ? 'was stopped' : `failed (${reason ?? 'unknown'})`}`
}
