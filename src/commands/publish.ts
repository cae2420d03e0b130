/** `walhook publish`, also `walhook events publish`: writes one event to the outbox, in a transaction of its own. */
import type { Command } from 'commander'
import { idempotencyId } from '../core/idempotency-id.ts'
import { visibleJson } from '../core/untrusted-text.ts'
import { type IdentifiedEvent, publish, publishOnce } from '../store/outbox.ts'
import type { Queryable } from '../store/database.ts'
import type { CommandContext } from './command.ts'
import { withDatabase } from './operator-database.ts'
import { invalidInput, refusingInput, requireJson } from './refusal.ts'

interface PublishOptions {
  readonly key?: string
  readonly tenant?: string
  readonly headers?: string
  readonly id?: string
  readonly json?: true
}

/** Well above what the outbox takes: its own constraint is the one to speak. */
const INPUT_LIMIT_BYTES = 16 * 1024 * 1024

export function addPublish(walhook: Command, context: CommandContext): void {
  addPublishCommand(walhook, context)
}

export function addPublishCommand(parent: Command, context: CommandContext): void {
  parent
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
    .option('--id <id>', 'its id, a UUID or any other text: the same event again under it is published once')
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
  const given = options.id === undefined ? undefined : idempotencyId(requireIdText(options.id), '')
  const payload = argument === '-' ? await readInput(context.input()) : argument
  requireJson('payload', payload)
  if (headers !== undefined) requireJson('headers', headers)
  const event = { type, payload, key, tenant, headers }
  const id = await withDatabase(context, (database) =>
    refusingInput('event', () =>
      given === undefined
        ? publish(database, event)
        : database.transaction((tx) => publishUnder(tx, { ...event, id: given })),
    ),
  )
  context.terminal.print(options.json ? visibleJson({ id }) : id)
}

async function publishUnder(tx: Queryable, event: IdentifiedEvent): Promise<string> {
  const [published] = await publishOnce(tx, [event])
  if (published === undefined) throw new Error('what was published is not there')
  if (published.differs)
    throw invalidInput(`id: event ${published.id} is there already, and says something else`)
  return published.id
}

function requireIdText(text: string): string {
  if (text.length >= 1 && text.length <= 255) return text
  throw invalidInput('id has to be 1 to 255 characters')
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
