/** The command line: which commands there are, and how an error ends. Each command declares its own options. */
import { Command, CommanderError } from 'commander'
import { excerpt, visible } from '../core/untrusted-text.ts'
import { errorCode, errorMessage, WalhookError } from '../lifecycle/errors.ts'
import { VERSION } from '../version.ts'
import { addApply } from './apply.ts'
import type { CommandContext } from './command.ts'
import { addApiKeys } from './api-keys.ts'
import { addDeadEvents } from './dead-events.ts'
import { addDeliveries } from './deliveries.ts'
import { addDemo } from './demo.ts'
import { addDev } from './dev.ts'
import { addDoctor } from './doctor.ts'
import { addEventTypes } from './event-types.ts'
import { addExport } from './export.ts'
import { addEvents } from './events.ts'
import { addKeys } from './keys.ts'
import { addExpunge } from './expunge.ts'
import { addListen } from './listen.ts'
import { addMigrate } from './migrate.ts'
import { addPortalLink } from './portal-link.ts'
import { addPublish } from './publish.ts'
import { explained } from './refusal.ts'
import { addReplay } from './replay.ts'
import { addResend } from './resend.ts'
import { addRun } from './run.ts'
import { addSlot } from './slot.ts'
import { addStats } from './stats.ts'
import { addSubscribe } from './subscribe.ts'
import { addSubscriptions } from './subscriptions.ts'
import { addTail } from './tail.ts'
import type { Terminal } from './terminal.ts'

/** A server's message may quote a value of any length. */
const LONGEST_MESSAGE = 4_000

/** Exit codes: 0; 1 failed; 2 bad usage or configuration. Never rejects. */
export async function runCommandLine(args: readonly string[], context: CommandContext): Promise<number> {
  try {
    await program(context).parseAsync(args, { from: 'user' })
    return 0
  } catch (error) {
    // Commander has told it already.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    return tellError(explained(error), context.terminal)
  }
}

function program(context: CommandContext): Command {
  const { terminal } = context
  const walhook = new Command('walhook')
    .description(
      'Transactional outbox sidecar for Postgres: committed events become signed webhooks, at least once.',
    )
    .version(VERSION)
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .exitOverride()
    .showHelpAfterError('See --help.')
    .configureOutput({
      writeOut: (text) => terminal.print(text.trimEnd()),
      writeErr: (text) => terminal.note(text.trimEnd()),
      // It repeats what was typed, which may be anything.
      outputError: (text, write) =>
        write(`${terminal.paintNote('red', 'walhook:')} ${visible(text.replace(/^error: /, '').trimEnd())}`),
    })
  addRun(walhook, context)
  addMigrate(walhook, context)
  addDoctor(walhook, context)
  addSubscribe(walhook, context)
  addSubscriptions(walhook, context)
  addApply(walhook, context)
  addExport(walhook, context)
  addPublish(walhook, context)
  addDeliveries(walhook, context)
  addResend(walhook, context)
  addEvents(walhook, context)
  addTail(walhook, context)
  addEventTypes(walhook, context)
  addDeadEvents(walhook, context)
  addKeys(walhook, context)
  addStats(walhook, context)
  addSlot(walhook, context)
  addReplay(walhook, context)
  addExpunge(walhook, context)
  addApiKeys(walhook, context)
  addPortalLink(walhook, context)
  addListen(walhook, context)
  addDev(walhook, context)
  addDemo(walhook, context)
  return walhook
}

/** One line, and what to do in the next. */
function tellError(error: unknown, terminal: Terminal): number {
  const code = error instanceof WalhookError ? error.code : errorCode(error)
  const told =
    visible(excerpt(errorMessage(error), LONGEST_MESSAGE)) + (code === undefined ? '' : ` (${code})`)
  terminal.note(`${terminal.paintNote('red', 'walhook:')} ${told}`)
  if (error instanceof WalhookError && error.remedy !== undefined) terminal.note(`  ${visible(error.remedy)}`)
  return code === 'configuration' || code === 'invalid_input' ? 2 : 1
}
