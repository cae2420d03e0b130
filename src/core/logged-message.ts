/**
 * An event that was written to the log alone, with `walhook.emit` or pg_logical_emit_message, as a row of our outbox would
 * read. Its JSON is all there is of it, so a member that is misspelt is refused: without its tenant, everybody would get it.
 */
import { memberTexts } from './json-members.ts'
import type { RawRow } from './outbox-event.ts'
import { type MappedRow, postgresText } from './source-mapping.ts'

/** What pg_logical_emit_message calls a prefix. */
export const MESSAGE_PREFIX = 'walhook'

const TEXTS = ['id', 'type', 'key', 'tenant']
const JSONS = ['payload', 'headers']

export function mapMessage(raw: RawRow, committedAt: Date | undefined): MappedRow {
  const malformed = (reason: string): MappedRow => ({ kind: 'malformed', reason })
  if (committedAt === undefined)
    return malformed('it is not transactional, and would be sent though its transaction rolled back')
  const content = raw.get('content')
  if (typeof content !== 'string') return malformed('it is not UTF-8')
  if (!isJson(content)) return malformed('it is not JSON')
  const members = memberTexts(content)
  if (members === undefined) return malformed('it is not a JSON object')

  const row = new Map<string, string | null>([
    ['headers', '{}'],
    ['created_at', postgresText(committedAt)],
  ])
  for (const [name, text] of members) {
    if (text === 'null' && name !== 'payload') continue
    if (JSONS.includes(name)) row.set(name, text)
    else if (!TEXTS.includes(name))
      return malformed(`it has an unknown member ${JSON.stringify(name.slice(0, 100))}`)
    else if (text.startsWith('"')) row.set(name, JSON.parse(text) as string)
    else return malformed(`${name} is not a text`)
  }
  return { kind: 'row', row }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch (error) {
    if (error instanceof SyntaxError) return false
    throw error
  }
}
