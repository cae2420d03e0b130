/**
 * How much one address and one key may ask for: counted here, in this process. The headers tell of the limit that was
 * counted last, which is the narrowest.
 */
import rateLimit from '@fastify/rate-limit'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ApiApp } from './app.ts'
import { Problem, unauthorized } from './problem.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Beside the limits of all routes, for each key. */
    limit?: { readonly max: number; readonly windowMs: number }
    /** Probes are asked by machines that do not go away. */
    unlimited?: boolean
  }
  interface FastifyRequest {
    /** What it is told where it shows no key, or a wrong one; it counts. */
    refusal(): Promise<Problem>
  }
}

const WINDOW_MS = 60_000
const PER_ADDRESS = 12_000
const PER_KEY = 6_000
/**
 * Past it a wrong key is told to wait, and a right one is let in: behind a proxy everybody has one address, and who guesses must
 * not lock the others out.
 */
const REFUSED_PER_ADDRESS = 120

type Count = ReturnType<ApiApp['createRateLimit']>

export async function limitRates(app: ApiApp): Promise<void> {
  await app.register(rateLimit, { global: false })
  const limiter = (max: number, windowMs: number, keyOf: (request: FastifyRequest) => string): Count =>
    app.createRateLimit({ max, timeWindow: windowMs, keyGenerator: keyOf })
  const perAddress = limiter(PER_ADDRESS, WINDOW_MS, ({ ip }) => ip)
  const refused = limiter(REFUSED_PER_ADDRESS, WINDOW_MS, ({ ip }) => ip)
  app.addHook('onRequest', async (request, reply) => {
    if (request.routeOptions.config.unlimited === true) return
    await count(perAddress, request, reply)
  })
  app.decorateRequest('refusal', async function (this: FastifyRequest) {
    const counted = await refused(this)
    return !counted.isAllowed && counted.isExceeded ? tooMany(counted.ttlInSeconds) : unauthorized()
  })
}

/** After authentication: they count by who asks. */
export function limitKeys(app: ApiApp): void {
  const perKey = app.createRateLimit({ max: PER_KEY, timeWindow: WINDOW_MS, keyGenerator: whoAsks })
  const perRoute = new Map<string, Count>()
  app.addHook('onRoute', ({ url, method, config }) => {
    const { limit } = config ?? {}
    if (limit === undefined) return
    perRoute.set(
      `${String(method)} ${url}`,
      app.createRateLimit({ max: limit.max, timeWindow: limit.windowMs, keyGenerator: whoAsks }),
    )
  })
  app.addHook('onRequest', async (request, reply) => {
    const { config, url, method } = request.routeOptions
    if (config.scope === undefined) return
    await count(perKey, request, reply)
    const ofRoute = perRoute.get(`${String(method)} ${url}`)
    if (ofRoute !== undefined) await count(ofRoute, request, reply)
  })
}

/** Whose requests count together. */
export function whoAsks({ principal, ip }: FastifyRequest): string {
  return `${principal.by} ${principal.keyId ?? (principal.by === 'loopback' ? ip : '')} ${principal.tenant ?? ''}`
}

async function count(counter: Count, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const counted = await counter(request)
  if (counted.isAllowed) return
  const { max, remaining, ttlInSeconds, isExceeded } = counted
  for (const prefix of ['ratelimit', 'x-ratelimit'])
    reply.headers({
      [`${prefix}-limit`]: max,
      [`${prefix}-remaining`]: remaining,
      [`${prefix}-reset`]: ttlInSeconds,
    })
  if (isExceeded) throw tooMany(ttlInSeconds)
}

function tooMany(seconds: number): Problem {
  return new Problem('too_many_requests', `Too many requests. Try again in ${seconds} s.`, {
    headers: { 'retry-after': String(seconds) },
  })
}
