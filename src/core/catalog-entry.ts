/** What only Walhook can tell of an entry of the catalog: whether its schema is one, and whether its example fits. */
import { parsePayloadSchema } from './payload-schema.ts'

export interface EntryFault {
  readonly field: 'schema' | 'example'
  /** Completes a sentence that begins with the field. */
  readonly rule: string
}

/** Both are JSON texts, or null where there is none. */
export function catalogEntryFault(entry: {
  readonly schema: string | null
  readonly example: string | null
}): EntryFault | undefined {
  if (entry.schema === null) return undefined
  const schema = parsePayloadSchema(entry.schema)
  if (schema.kind === 'none')
    return { field: 'schema', rule: `is no JSON Schema of draft 2020-12: ${schema.reason}` }
  const misfit = entry.example === null ? undefined : schema.misfitOf(JSON.parse(entry.example))
  return misfit === undefined
    ? undefined
    : { field: 'example', rule: `does not fit the schema: ${misfit.reason}` }
}

/** Whoever wrote it past Walhook may have written anything; null where it is sound. */
export function schemaError(schema: string | null): string | null {
  const parsed = schema === null ? undefined : parsePayloadSchema(schema)
  return parsed?.kind === 'none' ? `none: ${parsed.reason}` : null
}
