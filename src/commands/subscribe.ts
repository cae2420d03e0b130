/** `walhook subscribe`: the short form of `subscriptions create`. */
import type { Command } from 'commander'
import type { CommandContext } from './command.ts'
import { create, type CreateFlags } from './subscriptions/create.ts'
import { addSubscriptionOptions } from './subscriptions/options.ts'

export function addSubscribe(walhook: Command, context: CommandContext): void {
  addCreateOptions(
    walhook
      .command('subscribe')
      .description(
        'Make a subscription: which events go to which endpoint. Prints its signing secret, this once.',
      ),
  ).action((url: string, flags: CreateFlags) => create(context, url, flags))
}

export function addCreateOptions(command: Command): Command {
  return addSubscriptionOptions(
    command.argument('<url>', 'where to POST; https, unless the sidecar allows http'),
  )
    .option(
      '--secret <secret>',
      'signing secret: whsec_ and base64, or any text for github, stripe and hex (default: a fresh one)',
    )
    .option('--if-missing', 'only if there is none with this url, these event types and this tenant')
    .option('--json', 'print JSON: {"id", "secret", "created"}, and "ed25519_public_key" where there is one')
}
