/** `walhook expunge`: an event's payload and what endpoints answered to it, for privacy. */
import type { Command } from 'commander'
import { visibleJson } from '../core/untrusted-text.ts'
import { expunge } from '../store/expunge.ts'
import { eventId } from './arguments.ts'
import type { CommandContext } from './command.ts'
import { withDatabase } from './operator-database.ts'
import { refusingInput } from './refusal.ts'

export function addExpunge(walhook: Command, context: CommandContext): void {
  walhook
    .command('expunge')
    .description(
      "Remove an event's payload and headers, and what endpoints answered to it; what is pending of it is cancelled. Cannot be undone.",
    )
    .argument('<event-id>', "the event's id", eventId)
    .option('--json', 'print JSON: {"event_id", "expunged_at", "cancelled", "response_bodies", "malformed"}')
    .action((id: string, options: { readonly json?: true }) => run(context, id, options))
}

async function run(context: CommandContext, id: string, options: { readonly json?: true }): Promise<void> {
  const { terminal } = context
  const done = await withDatabase(context, (database) =>
    refusingInput('event-id', () => expunge(database, id)),
  )
  if (options.json) {
    terminal.print(visibleJson({ event_id: id, ...done }))
    return
  }
  terminal.print(
    `event ${id} is expunged: ${done.cancelled} deliveries cancelled, ${done.response_bodies} answers removed`,
  )
  terminal.note(
    "Requests that were on their way may still arrive. Old row versions are there until vacuum, and the payload stays in the server's log and backups for as long as you keep those.",
  )
}
