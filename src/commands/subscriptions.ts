/** `walhook subscriptions`: look at them, make, change, pause, test and delete them. */
import type { Command } from 'commander'
import type { CommandContext } from './command.ts'
import { addSubscriptionCommands } from './subscriptions/commands.ts'

export function addSubscriptions(walhook: Command, context: CommandContext): void {
  const subscriptions = walhook
    .command('subscriptions')
    .description('Look at subscriptions, make, change, pause, test and delete them.')
  addSubscriptionCommands(subscriptions, context)
}
