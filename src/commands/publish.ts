/** `walhook publish`: writes one event to the outbox, in a transaction of its own. */
import type { Command } from 'commander'
import { visibleJson } from '../core/untrusted-text.ts'
import { publish } from '../store/outbox.ts'
import type { CommandContext } from './command.ts'
import { withDatabase } from './operator-database.ts'
import { invalidInput, refusingInput, requireJson } from './refusal.ts'

interface PublishOptions {
  readonly key?: string
  readonly tenant?: string
  readonly headers?: string
  readonly json?: true
}

/** Well above what the outbox takes: its own constraint is the one to speak. */
const INPUT_LIMIT_BYTES = 16 * 1024 * 1024

export function addPublish(walhook: Command, context: CommandContext): void {
  walhook
    .command('publish')
    .description('Write an event to the outbox, as an application does with an INSERT.')
    .argument('<type>', 'event type, a dotted name: order.created')
    .argument('<payload>', 'the payload as JSON, or - for standard input; sent byte for byte')
    .option('--key <key>', 'what the event is about')
    .option('--tenant <tenant>', 'whose event it is')
    .option(
      '--headers <json>',
      'metadata as a JSON object; traceparent and tracestate are passed on, deliver_after delays',
    )
    .option('--json', 'print JSON: {"id"}')
    .action((type: string, payload: string, options: PublishOptions) => run(context, type, payload, options))
}

async function run(
  context: CommandContext,
  type: string,
  argument: string,
  options: PublishOptions,
): Promise<void> {
  const { key, tenant, headers } = options
  const payload = argument === '-' ? await readInput(context.input()) : argument
  requireJson('payload', payload)
  if (headers !== undefined) requireJson('headers', headers)
  const event = { type, payload, key, tenant, headers }
  const id = await withDatabase(context, (database) => refusingInput('event', () => publish(database, event)))
  context.terminal.print(options.json ? visibleJson({ id }) : id)
}

async function readInput(input: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of input) {
    bytes += chunk.length
    if (bytes > INPUT_LIMIT_BYTES) throw invalidInput(`payload has more than ${INPUT_LIMIT_BYTES} bytes`)
    chunks.push(chunk)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks))
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    throw invalidInput('payload has to be UTF-8')
  }
}
