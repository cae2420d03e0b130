/**
 * JSON Schema, draft 2020-12: whether a text is one, and whether a payload fits it. The only importer of ajv.
 *
 * Invariant: a reason says what the schema asks for and where, and never quotes a payload, whose names of properties may be
 * as private as its values.
 */
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import { excerpt } from './untrusted-text.ts'

/** Where a payload leaves its schema. */
export interface SchemaMisfit {
  /** `/amount must be number`. */
  readonly reason: string
  /** The rule's place in the schema: `#/properties/amount/type`. */
  readonly schemaPath: string
}

export type PayloadSchema =
  | { readonly kind: 'schema'; readonly misfitOf: (payload: unknown) => SchemaMisfit | undefined }
  | { readonly kind: 'none'; readonly reason: string }

const LONGEST_REASON = 300

/** Knows the draft's own schema, by which all others are judged first. */
const DRAFT = new Ajv2020({ logger: false })

/** A keyword that is not known is mostly one misspelt; what OpenAPI adds for people is let through, like all that begins with x-. */
const ANNOTATIONS = ['example', 'externalDocs', 'xml']

export function parsePayloadSchema(text: string): PayloadSchema {
  const none = (reason: string): PayloadSchema => ({ kind: 'none', reason: excerpt(reason, LONGEST_REASON) })
  try {
    const schema: unknown = JSON.parse(text)
    if (!isSchemaLike(schema)) return none('it is neither an object nor true nor false')
    if (DRAFT.validateSchema(schema) !== true) return none(DRAFT.errorsText(DRAFT.errors, { dataVar: '' }))
    const names = namesIn(schema)
    const validate = validator(names).compile<unknown>(schema)
    // It would answer with a promise, which passes for a yes.
    if ('$async' in validate) return none('$async is no keyword of JSON Schema')
    return { kind: 'schema', misfitOf: (payload) => misfitOf(validate, payload, names) }
  } catch (error) {
    // Not JSON, a reference to nowhere, a broken pattern, too deep: ajv says no by throwing, and here that is an answer.
    if (error instanceof Error) return none(error.message)
    throw error
  }
}

/** One for each schema: what has an `$id` in one is not there for another, and goes with it. */
function validator(names: ReadonlySet<string>): Ajv2020 {
  const ajv = new Ajv2020({
    // Judged already, and making the draft's validator anew each time would take longer than all the rest.
    meta: false,
    validateSchema: false,
    strictTypes: false,
    strictTuples: false,
    strictRequired: false,
    // What every object inherits (toString) is no property of a payload.
    ownProperties: true,
    // A definition that is named a thousand times is compiled once.
    inlineRefs: false,
    logger: false,
  })
  formats.default(ajv)
  ajv.addVocabulary([...ANNOTATIONS, ...[...names].filter((name) => name.startsWith('x-'))])
  return ajv
}

type Validate = ((payload: unknown) => boolean) & { errors?: null | ErrorObject[] }

function misfitOf(
  validate: Validate,
  payload: unknown,
  names: ReadonlySet<string>,
): SchemaMisfit | undefined {
  try {
    if (validate(payload)) return undefined
  } catch (error) {
    // A schema that contains itself, and a payload as deep as 1 MiB can be.
    if (error instanceof RangeError) return { reason: 'it is nested too deeply', schemaPath: '#' }
    throw error
  }
  const error = mostTelling(validate.errors ?? [])
  const at = shownPath(error?.instancePath ?? '', payload, names)
  return {
    reason: excerpt(`${at === '' ? '' : `${at} `}${error?.message ?? 'does not match'}`, LONGEST_REASON),
    schemaPath: error?.schemaPath ?? '#',
  }
}

/** Errors come from within outwards, so that of alternatives the last one names them all; `if` only says which branch it was. */
function mostTelling(errors: readonly ErrorObject[]): ErrorObject | undefined {
  return errors.findLast(({ keyword }) => keyword !== 'if') ?? errors.at(-1)
}

/** A JSON pointer with a star for each name that the schema does not have: it may be anybody's. */
function shownPath(pointer: string, payload: unknown, names: ReadonlySet<string>): string {
  let value = payload
  let shown = ''
  for (const segment of pointer.split('/').slice(1)) {
    const name = segment.replaceAll('~1', '/').replaceAll('~0', '~')
    shown += `/${Array.isArray(value) || names.has(name) ? segment : '*'}`
    value = isObject(value) ? Reflect.get(value, name) : undefined
  }
  return shown
}

/** Every name of a property anywhere in a schema, keywords among them. */
function namesIn(schema: unknown, names = new Set<string>()): ReadonlySet<string> {
  if (!isObject(schema)) return names
  for (const [name, value] of Object.entries(schema)) {
    if (!Array.isArray(schema)) names.add(name)
    namesIn(value, names)
  }
  return names
}

function isSchemaLike(value: unknown): value is object | boolean {
  return typeof value === 'boolean' || (isObject(value) && !Array.isArray(value))
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
