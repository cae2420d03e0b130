/** /openapi.json as tests walk it: every operation there is, with what it takes and what it may answer. */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'

export type Schema = Readonly<Record<string, unknown>>

export interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly required?: boolean
  readonly schema: Schema
}

export interface Operation {
  readonly method: string
  /** `/v1/keys/{id}` */
  readonly path: string
  readonly operationId: string
  readonly tags: readonly string[]
  readonly summary: string
  readonly scope: string
  readonly allTenants: boolean
  readonly parameters: readonly Parameter[]
  readonly body: Schema | undefined
  /** By status. */
  readonly responses: ReadonlyMap<number, Response>
}

interface Response {
  readonly description: string
  readonly content: ReadonlyMap<string, Schema>
}

interface RawOperation {
  readonly operationId: string
  readonly tags: readonly string[]
  readonly summary: string
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly content: { readonly 'application/json': { readonly schema: Schema } } }
  readonly responses: Readonly<Record<string, unknown>>
  readonly 'x-walhook-scope': string
  readonly 'x-walhook-all-tenants': boolean
}

export class ApiDocument {
  readonly operations: readonly Operation[]
  readonly #document: Schema
  readonly #ajv: Ajv2020

  constructor(document: Schema) {
    this.#document = document
    this.#ajv = new Ajv2020({ strict: false, allErrors: true })
    formats.default(this.#ajv)
    this.#ajv.addSchema(document, 'api')
    const paths = document['paths'] as Record<string, Record<string, RawOperation>>
    this.operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, raw]) => this.#operation(method, path, raw)),
    )
  }

  static async of(url: string): Promise<ApiDocument> {
    const response = await fetch(new URL('/openapi.json', url))
    return new ApiDocument((await response.json()) as Schema)
  }

  resolved(schema: Schema): Schema {
    const ref = schema['$ref']
    return typeof ref === 'string' ? this.#at(ref) : schema
  }

  /** What is wrong with a body, by the schema that its status and type have; undefined where nothing is. */
  misfit(operation: Operation, status: number, type: string, body: unknown): string | undefined {
    const response = operation.responses.get(status)
    if (response === undefined) return `${status} is not documented`
    const [media = ''] = type.split(';')
    if (response.content.size === 0)
      return body === '' ? undefined : 'there is a body, and none is documented'
    const schema = response.content.get(media)
    if (schema === undefined) return `${media} is not documented for ${status}`
    const validate: ValidateFunction = this.#ajv.compile(withAbsoluteRefs(schema))
    return validate(body) ? undefined : this.#ajv.errorsText(validate.errors)
  }

  #operation(method: string, path: string, raw: RawOperation): Operation {
    return {
      method: method.toUpperCase(),
      path,
      operationId: raw.operationId,
      tags: raw.tags,
      summary: raw.summary,
      scope: raw['x-walhook-scope'],
      allTenants: raw['x-walhook-all-tenants'],
      parameters: raw.parameters ?? [],
      body: raw.requestBody?.content['application/json'].schema,
      responses: new Map(
        Object.entries(raw.responses).map(([status, response]) => [
          Number(status),
          this.#response(response as Schema),
        ]),
      ),
    }
  }

  #response(raw: Schema): Response {
    const { description, content = {} } = this.resolved(raw) as {
      description: string
      content?: Record<string, { schema: Schema }>
    }
    return {
      description,
      content: new Map(Object.entries(content).map(([type, { schema }]) => [type, schema])),
    }
  }

  #at(ref: string): Schema {
    let found: unknown = this.#document
    for (const part of ref.slice(2).split('/')) found = (found as Record<string, unknown>)[part]
    return found as Schema
  }
}

function withAbsoluteRefs(schema: Schema): Schema {
  return JSON.parse(JSON.stringify(schema).replaceAll('"$ref":"#/', '"$ref":"api#/')) as Schema
}
