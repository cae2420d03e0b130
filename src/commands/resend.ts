/** `walhook resend`: deliveries due now, whatever became of them; all of those named, or none. */
import type { Command } from 'commander'
import { visibleJson } from '../core/untrusted-text.ts'
import { resend, type ResentDelivery } from '../store/resend.ts'
import { deliveryId } from './arguments.ts'
import type { CommandContext } from './command.ts'
import { withDatabase } from './operator-database.ts'
import { refusingInput } from './refusal.ts'

export function addResend(walhook: Command, context: CommandContext): void {
  walhook
    .command('resend')
    .description(
      'Make deliveries due now, with their whole retry schedule before them; all of those named, or none.',
    )
    .argument('<ids...>', "the deliveries' ids", (text, before: readonly string[] | undefined) => [
      ...(before ?? []),
      deliveryId(text),
    ])
    .option('--json', 'print JSON: {"resent"}')
    .action((ids: readonly string[], options: { readonly json?: true }) => resendNamed(context, ids, options))
}

export async function resendNamed(
  context: CommandContext,
  ids: readonly string[],
  options: { readonly json?: true },
): Promise<void> {
  const resent = await withDatabase(context, (database) =>
    refusingInput('id', () =>
      database.transaction(async (tx) => {
        const done: ResentDelivery[] = []
        for (const id of inOrder(ids)) done.push(await resend(tx, id))
        return done
      }),
    ),
  )
  const { terminal } = context
  if (options.json) {
    terminal.print(visibleJson({ resent }))
    return
  }
  for (const { id, event_id: eventId, attempts } of resent) {
    terminal.print(`delivery ${id} is due now: attempt ${attempts + 1}, webhook-id ${eventId}`)
  }
}

/** Each once, and in one order for everybody: two commands that name the same ones then wait and do not deadlock. */
function inOrder(ids: readonly string[]): readonly string[] {
  return [...new Set(ids)].sort((a, b) => Number(BigInt(a) - BigInt(b)))
}
