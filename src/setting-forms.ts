/** The forms that a setting's text can have, each with the rule that is told when it has another. */
import { z } from 'zod'
import { type AllowedNetwork, parseNetwork } from './core/address-policy.ts'
import { parseDuration } from './core/duration.ts'
import { parseProxy } from './core/egress-proxy.ts'
import { parseKeyRing } from './core/key-ring.ts'
import { parseSources } from './core/source-table.ts'

export const proxyUrl = z.string().transform((text, context) => {
  const proxy = parseProxy(text)
  if (proxy !== undefined) return proxy
  // It is not repeated: it may hold a password.
  context.addIssue('has to be a URL like http://user:password@proxy.internal:3128, without a path')
  return z.NEVER
})

export const sources = z.string().transform((text, context) => {
  const parsed = parseSources(text)
  if (parsed.kind === 'sources') return parsed.sources
  context.addIssue(parsed.rule)
  return z.NEVER
})

export const postgresUrl = z
  .string()
  .refine(
    (text) => /^postgres(ql)?:\/\//.test(text) && URL.canParse(text),
    'has to be a URL like postgres://user:password@host:5432/database',
  )

/** What goes into replication commands as it stands. */
export const plainName = z
  .string()
  .regex(/^[a-z_][a-z0-9_]{0,62}$/, 'has to be a plain name: a-z, 0-9 and _, at most 63 characters')

/** What a bearer token may be made of. It is not repeated where it is none. */
export const adminToken = z
  .string()
  .regex(/^[A-Za-z0-9._~+/=-]{24,512}$/, 'has to be 24 to 512 letters, digits or any of . _ ~ + / = -')

export const bool = z
  .enum(['true', 'false', '1', '0'], 'has to be true or false')
  .transform((text) => text === 'true' || text === '1')

export const count = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, 'has to be a whole number')
    .transform(Number)
    .refine((n) => n >= least && n <= most, `has to be between ${least} and ${most}`)

export const duration = z.string().transform((text, context) => {
  const ms = parseDuration(text)
  if (ms !== undefined) return ms
  context.addIssue('has to be a duration like 500ms, 5s, 10m, 2h or 5d')
  return z.NEVER
})

export const listenAddress = z.string().transform((text, context) => {
  const match = /^(\[[0-9a-fA-F:]+\]|[^:\s]+):(\d{1,5})$/.exec(text)
  if (match !== null && Number(match[2]) <= 65_535) {
    return { host: (match[1] ?? '').replace(/^\[|\]$/g, ''), port: Number(match[2]) }
  }
  context.addIssue('has to be host:port, like 127.0.0.1:8788')
  return z.NEVER
})

export const networks = z.string().transform((text, context) => {
  const parsed: AllowedNetwork[] = []
  for (const item of text.split(',').map((part) => part.trim())) {
    if (item === '') continue
    const network = parseNetwork(item)
    if (network === undefined)
      context.addIssue(`has to be a list of networks like 10.0.0.0/8,fd00::/8; not one: ${item}`)
    else parsed.push(network)
  }
  return parsed
})

export const keyRing = z.string().transform((text, context) => {
  const parsed = parseKeyRing(text)
  if (parsed.kind === 'ring') return parsed.ring
  context.addIssue(parsed.rule)
  return z.NEVER
})

const DEFAULT_RETENTION = { outbox: 7, deliveries: 30, attempts: 14 }

/** `7d` for all, or `outbox=7d,deliveries=30d,attempts=14d`, in part or in whole. */
export const retention = z.string().transform((text, context) => {
  const days = { ...DEFAULT_RETENTION }
  for (const item of text.split(',').map((part) => part.trim())) {
    const match = /^(?:(outbox|deliveries|attempts)=)?(\d{1,5})d?$/.exec(item)
    if (match === null || Number(match[2]) < 1) {
      context.addIssue(`has to be days, like 7d, or outbox=7d,deliveries=30d,attempts=14d; not so: ${item}`)
      return z.NEVER
    }
    const table = match[1] as keyof typeof days | undefined
    for (const name of table === undefined ? (Object.keys(days) as (keyof typeof days)[]) : [table])
      days[name] = Number(match[2])
  }
  if (days.deliveries < days.outbox) {
    context.addIssue(
      'has to keep deliveries at least as long as the outbox: they are what keeps an event from being sent again',
    )
    return z.NEVER
  }
  const day = 86_400_000
  return { outboxMs: days.outbox * day, deliveriesMs: days.deliveries * day, attemptsMs: days.attempts * day }
})
