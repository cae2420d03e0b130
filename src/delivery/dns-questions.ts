/**
 * Questions to name servers, and what their answers and their silence say. Invariant: a name is absent only when a server
 * said so of both families; one that did not answer has denied nothing.
 */
import type { RecordWithTtl } from 'node:dns'
import { Resolver } from 'node:dns/promises'
import { isIPv6 } from 'node:net'
import { errorCode } from '../lifecycle/errors.ts'
import type { ResolvedAddress } from './name-cache.ts'

/** A query is repeated after 1, 2 and 4 s: a lost packet costs a second, and a slow server has longer than a connection. */
const QUERY_OPTIONS = { timeout: 1000, tries: 3 }
/** How long one family's answer waits for the other's, when its server drops those questions. */
const OTHER_FAMILY_MS = 1000

/** One for each name: what it learns from a server's silence, and its timers, concern no other. */
export function newResolver(servers: readonly string[] | undefined): Resolver {
  const resolver = new Resolver(QUERY_OPTIONS)
  if (servers !== undefined) resolver.setServers(servers)
  return resolver
}

type DnsAnswer =
  | { readonly kind: 'found'; readonly addresses: readonly ResolvedAddress[] }
  | { readonly kind: 'absent' }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'unanswered'; readonly error: unknown }

/** The addresses of the first name that has any; undefined when none of them has. Rejects when a server did not say. */
export async function firstAnswer(
  resolver: Resolver,
  names: readonly string[],
): Promise<readonly ResolvedAddress[] | undefined> {
  let failure: Extract<DnsAnswer, { kind: 'failed' }> | undefined
  for (const name of names) {
    const answer = await addressesInDns(resolver, name)
    if (answer.kind === 'found') return answer.addresses
    if (answer.kind === 'unanswered') throw answer.error
    // A broken search domain does not hide what lies below the next one; but then nothing has been denied either.
    if (answer.kind === 'failed') failure = answer
  }
  if (failure !== undefined) throw failure.error
  return undefined
}

/** Both families, IPv4 first: most hosts have it, and the connection tries them in turn anyway. */
async function addressesInDns(resolver: Resolver, name: string): Promise<DnsAnswer> {
  const answers: DnsAnswer[] = []
  const settled = Promise.withResolvers<void>()
  let patience: NodeJS.Timeout | undefined
  const note = (family: 0 | 1, answer: DnsAnswer): void => {
    answers[family] = answer
    if (answers[1 - family] !== undefined) settled.resolve()
    else if (answer.kind === 'found') patience = setTimeout(settled.resolve, OTHER_FAMILY_MS)
  }
  void ask(resolver.resolve4(name, { ttl: true })).then((answer) => note(0, answer))
  void ask(resolver.resolve6(name, { ttl: true })).then((answer) => note(1, answer))
  await settled.promise
  clearTimeout(patience)
  const found = answers.flatMap((answer) => (answer?.kind === 'found' ? answer.addresses : []))
  if (found.length > 0) return { kind: 'found', addresses: found }
  const mostTelling = (['unanswered', 'failed'] as const).map((kind) =>
    answers.find((answer) => answer?.kind === kind),
  )
  return mostTelling.find((answer) => answer !== undefined) ?? { kind: 'absent' }
}

async function ask(question: Promise<RecordWithTtl[]>): Promise<DnsAnswer> {
  try {
    const records = await question
    return {
      kind: 'found',
      addresses: records.map(({ address, ttl }) => ({
        address,
        family: isIPv6(address) ? 6 : 4,
        ttlMs: ttl * 1000,
      })),
    }
  } catch (error) {
    switch (errorCode(error)) {
      case 'ENOTFOUND':
      case 'ENODATA':
      case 'EBADNAME': // not a name in DNS's sense
      case 'ECONNREFUSED': // no name server on this host
        return { kind: 'absent' }
      case 'ESERVFAIL':
        return { kind: 'failed', error }
      default:
        return { kind: 'unanswered', error }
    }
  }
}
