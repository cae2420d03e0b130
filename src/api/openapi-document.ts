/**
 * The OpenAPI document as it is served: what every operation has in common is said once and referred to, each schema has one
 * name, and nothing is left that nobody refers to. Pure: a document goes in, a document comes out.
 */
import { visibleJson } from '../core/untrusted-text.ts'
import { PROBLEM_KINDS, problemExample, problemHeaders, STATUS_NAMES } from './problem.ts'

/** As JSON: OpenAPI's own types say less than is known here. */
export interface Document {
  paths?: Record<string, Record<string, Operation>>
  components?: { schemas?: Record<string, unknown>; responses?: Record<string, unknown> } & Record<
    string,
    unknown
  >
}

interface Operation {
  readonly operationId?: string
  parameters?: { readonly name: string; readonly in: string }[]
  requestBody?: { required?: boolean; readonly content: Record<string, { readonly schema: unknown }> }
  responses: Record<string, Answer>
}

interface Answer {
  description?: string
  headers?: Record<string, unknown>
  content?: Record<string, { readonly schema?: { readonly type?: unknown } }>
}

const SCHEMAS = '#/components/schemas/'

export function finishedDocument<Raw extends object>(raw: Raw): Raw {
  const document = structuredClone(raw) as Document
  for (const path of Object.values(document.paths ?? {})) {
    const hasTag = Object.values(path).some(({ parameters = [] }) =>
      parameters.some(({ name }) => name === 'if-match'),
    )
    for (const operation of Object.values(path)) finishOperation(operation, document, hasTag)
  }
  const { schemas = {}, ...components } = document.components ?? {}
  document.components = { ...components, schemas, responses: commonProblems(), headers: COMMON_HEADERS }
  return withOneNameEach(document) as Raw
}

function finishOperation(operation: Operation, document: Document, hasTag: boolean): void {
  const { requestBody } = operation
  // Nothing is as good as an empty object, where no member has to be there.
  if (requestBody !== undefined)
    requestBody.required = Object.values(requestBody.content).some(({ schema }) =>
      hasRequired(schema, document),
    )
  for (const [status, answer] of Object.entries(operation.responses)) {
    const name = STATUS_NAMES[Number(status)]
    if (name !== undefined && answer.content?.['application/problem+json'] !== undefined) {
      operation.responses[status] = { $ref: `#/components/responses/${name}` } as Answer
      continue
    }
    if (status === '204') delete answer.content
    answer.description = answer.description === 'Default Response' ? 'Done.' : (answer.description ?? 'Done.')
    answer.headers = {
      ...headersOf(['x-request-id', 'ratelimit-remaining']),
      ...(hasTag && status !== '204' && headersOf(['etag'])),
    }
  }
}

function hasRequired(schema: unknown, document: Document): boolean {
  const found = resolved(schema, document)
  if (typeof found !== 'object' || found === null) return false
  const { required, anyOf, oneOf } = found as { required?: unknown[]; anyOf?: unknown[]; oneOf?: unknown[] }
  const alternatives = anyOf ?? oneOf
  if (alternatives !== undefined) return alternatives.every((each) => hasRequired(each, document))
  return required !== undefined && required.length > 0
}

function resolved(schema: unknown, document: Document): unknown {
  const ref = typeof schema === 'object' && schema !== null ? Reflect.get(schema, '$ref') : undefined
  if (typeof ref !== 'string') return schema
  return document.components?.schemas?.[ref.slice(SCHEMAS.length)]
}

const COMMON_HEADERS = {
  'x-request-id': {
    description: 'Yours, or one that was made; the log has it.',
    schema: { type: 'string' },
  },
  'ratelimit-remaining': {
    description:
      'How many requests are left until `RateLimit-Reset` seconds have passed, of `RateLimit-Limit`.',
    schema: { type: 'integer', minimum: 0 },
  },
  etag: {
    description: 'For If-Match: names the state that was answered.',
    schema: { type: 'string' },
  },
  'retry-after': {
    description: 'After how many seconds to try again.',
    schema: { type: 'integer', minimum: 0 },
  },
  'www-authenticate': { description: 'How to authenticate.', schema: { type: 'string' } },
}

function headersOf(names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]))
}

function commonProblems(): Record<string, unknown> {
  return Object.fromEntries(
    PROBLEM_KINDS.flatMap((kind) => {
      const example = problemExample(kind)
      const name = STATUS_NAMES[example.status]
      if (name === undefined) return []
      const description = `${example.title}.`
      const headers = headersOf(['x-request-id', ...problemHeaders(kind)])
      const content = { 'application/problem+json': { schema: { $ref: `${SCHEMAS}Problem` }, example } }
      return [[name, { description, headers, content }]]
    }),
  )
}

/**
 * What is made of zod has each schema twice, as it goes in (`…Input`) and as it comes out. Where only one is referred to, or
 * both are the same, it has the plain name.
 */
function withOneNameEach(document: Document): Document {
  const schemas = document.components?.schemas ?? {}
  const used = referredTo(document)
  const renamed = new Map<string, string>()
  for (const name of used) {
    const plain = name.replace(/Input$/, '')
    if (plain === name) continue
    const isSame = sameText(schemas[name]) === sameText(schemas[plain])
    if (!used.has(plain) || isSame) renamed.set(name, plain)
  }
  const kept: Record<string, unknown> = {}
  for (const name of [...used].sort())
    if (!(renamed.has(name) && used.has(renamed.get(name) ?? '')))
      kept[renamed.get(name) ?? name] = schemas[name]
  const whole = { ...document, components: { ...document.components, schemas: kept } }
  return mapRefs(whole, (ref) => {
    const name = ref.startsWith(SCHEMAS) ? ref.slice(SCHEMAS.length) : ''
    return renamed.has(name) ? `${SCHEMAS}${renamed.get(name)}` : ref
  }) as Document
}

/** Whatever it refers to, and what that refers to. */
function referredTo(document: Document): ReadonlySet<string> {
  const schemas = document.components?.schemas ?? {}
  const found = new Set<string>()
  const visit = (value: unknown): void => {
    mapRefs(value, (ref) => {
      const name = ref.startsWith(SCHEMAS) ? ref.slice(SCHEMAS.length) : undefined
      if (name === undefined || found.has(name)) return ref
      found.add(name)
      visit(schemas[name])
      return ref
    })
  }
  visit(document.paths)
  visit(document.components?.responses)
  return found
}

/** A copy, with each `$ref` as `change` has it, and without patterns that say again what a format says. */
function mapRefs(value: unknown, change: (ref: string) => string): unknown {
  if (Array.isArray(value)) return value.map((each) => mapRefs(each, change))
  if (typeof value !== 'object' || value === null) return value
  const isTime = Reflect.get(value, 'format') === 'date-time'
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, member]) => {
      if (isTime && name === 'pattern') return []
      return [
        [name, name === '$ref' && typeof member === 'string' ? change(member) : mapRefs(member, change)],
      ]
    }),
  )
}

function sameText(schema: unknown): string {
  return visibleJson(schema).replaceAll('Input"', '"')
}
