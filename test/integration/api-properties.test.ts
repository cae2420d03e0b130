/**
 * Whatever anybody sends to any operation of the API's own description: the answer is one that the description has, its body
 * fits its schema, and it is never the server that is at fault.
 */
import fc from 'fast-check'
import { expect } from 'vitest'
import { type Api, apiAt } from '../support/api.ts'
import { ApiDocument, type Operation, type Parameter } from '../support/api-document.ts'
import { test } from '../support/fixtures.ts'
import { arbitraryFor, hostile } from '../support/schema-arbitrary.ts'
import { publish, subscribe, untilSettled } from '../support/sql-surface.ts'

const RUNS = 8
const ADMIN_TOKEN = 'admin-token-for-tests-0123456789'

interface Request {
  readonly path: string
  readonly body: unknown
  readonly headers: Readonly<Record<string, string>>
}

/** Ids that are there are worth more than random ones. */
function requestsFor(
  operation: Operation,
  document: ApiDocument,
  known: readonly string[],
): fc.Arbitrary<Request> {
  const valueOf = ({ schema, in: place }: Parameter): fc.Arbitrary<string> =>
    fc
      .oneof(
        { weight: 8, arbitrary: arbitraryFor(schema, document) },
        { weight: place === 'path' ? 8 : 0, arbitrary: fc.constantFrom(...known) },
        { weight: 1, arbitrary: hostile },
      )
      .map((value) => (typeof value === 'string' ? value : JSON.stringify(value)))
  const all = Object.fromEntries(
    operation.parameters.map((each) => [`${each.in} ${each.name}`, valueOf(each)]),
  )
  const body =
    operation.body === undefined
      ? fc.constant(undefined)
      : fc.oneof(
          { weight: 8, arbitrary: arbitraryFor(operation.body, document) },
          { weight: 1, arbitrary: hostile },
        )
  const requiredKeys = operation.parameters
    .filter(({ in: place }) => place === 'path')
    .map(({ name }) => `path ${name}`)
  return fc.record({ values: fc.record(all, { requiredKeys }), body }).map(({ values, body: sent }) => {
    let path = operation.path
    const query = new URLSearchParams()
    const headers: Record<string, string> = {}
    for (const [name, value = ''] of Object.entries(values)) {
      const [place, ...rest] = name.split(' ')
      const parameter = rest.join(' ')
      // Two dots would be another path, and so would nothing.
      if (place === 'path')
        path = path.replace(
          `{${parameter}}`,
          () => encodeURIComponent(value.toWellFormed()).replaceAll('.', '%2E') || '0',
        )
      else if (place === 'query') query.append(parameter, value.toWellFormed())
      else headers[parameter] = value.replaceAll(/[^\x20-\x7e]/g, '?')
    }
    return { path: query.size === 0 ? path : `${path}?${query.toString()}`, body: sent, headers }
  })
}

async function expectDocumented(
  api: Api,
  operation: Operation,
  document: ApiDocument,
  request: Request,
): Promise<void> {
  const { path, body, headers } = request
  const json = body === undefined ? {} : { json: body }
  const { status, headers: said, body: got } = await api(operation.method, path, { ...json, headers })
  expect(status, JSON.stringify(got)).toBeLessThan(500)
  const misfit = document.misfit(operation, status, said.get('content-type') ?? '', got)
  expect({ status, misfit }).toEqual({ status, misfit: undefined })
}

test('every operation answers hostile and random requests as it is described', async ({
  db,
  receiver,
  sidecar,
}) => {
  const { url } = await sidecar({ WALHOOK_ADMIN_TOKEN: ADMIN_TOKEN })
  const api = apiAt(url, ADMIN_TOKEN)
  const { id: subscription } = await subscribe(db, receiver.url('/hook'))
  const event = await publish(db)
  const [delivery] = await untilSettled(db, 1)
  await api('PUT', '/v1/event-types/order.created', { json: {} })
  const document = await ApiDocument.of(url)
  const known = [subscription, event, delivery?.id ?? '', 'order.created', '1']
  // The stream of hints has no end.
  for (const operation of document.operations.filter(({ path }) => path !== '/v1/live'))
    await fc.assert(
      fc.asyncProperty(requestsFor(operation, document, known), (request) =>
        expectDocumented(api, operation, document, request),
      ),
      { numRuns: RUNS },
    )
})

test('the description is complete: names, summaries, tags, scopes and the problems of each operation', async ({
  sidecar,
}) => {
  const { url } = await sidecar()
  const { body } = await apiAt(url)('GET', '/openapi.json')
  const { operations } = new ApiDocument(body)
  const tags = body.tags.map(({ name }: { name: string }) => name)
  const ids = operations.map(({ operationId }) => operationId)
  expect(new Set(ids).size).toBe(ids.length)
  for (const operation of operations) {
    expect(operation).toMatchObject({
      operationId: expect.stringMatching(/^[a-z][A-Za-z]+$/),
      summary: expect.stringMatching(/\S/),
      scope: expect.stringMatching(/^(any|publish|read|operate|admin)$/),
    })
    expect(tags).toEqual(expect.arrayContaining([...operation.tags]))
    expect([...operation.responses.keys()]).toEqual(expect.arrayContaining([400, 401, 403, 429, 503]))
    for (const { description } of operation.responses.values()) expect(description).toMatch(/^[A-Z].*\.$/s)
  }
})
