/** The small forms that requests and answers are made of, each with the rule that is told when it is another. */
import { z } from 'zod'
import { rfc3339 } from '../core/outbox-event.ts'

/** A query parameter that is a whole number; in OpenAPI an integer. */
export function wholeNumber(least: number, most: number) {
  const rule = `has to be a whole number from ${least} to ${most}`
  return z
    .unknown()
    .transform((value, context): number => {
      const number = typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN
      if (number >= least && number <= most) return number
      context.addIssue(rule)
      return z.NEVER
    })
    .meta({ type: 'integer', minimum: least, maximum: most })
}

/** A query parameter that is true or false. */
export const flag = z.enum(['true', 'false'], 'has to be true or false').transform((text) => text === 'true')

/** Postgres has no U+0000 in text, and UTF-8 no halves of surrogate pairs. */
export function text(most: number, least = 1) {
  const rule = `has to be ${least} to ${most} characters`
  return (
    z
      .string()
      .min(least, rule)
      .max(most, rule)
      // eslint-disable-next-line no-control-regex
      .regex(/^[^\u0000]*$/, 'has to be text without U+0000')
      .refine((value) => value.isWellFormed(), 'has to be text without halves of surrogate pairs')
  )
}

/** As in Postgres: a bigint, as its decimal text. */
export const bigintId = z
  .string()
  .regex(/^[1-9]\d{0,17}$/, 'has to be a whole number')
  .describe('A whole number, as text: JSON numbers would lose digits.')

export const uuid = z
  .string()
  .regex(/^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/, 'has to be a UUID')
  .meta({ format: 'uuid' })

/** A point in time of an answer. */
export const timestamp = z
  .string()
  .meta({ format: 'date-time', examples: ['2026-11-22T15:30:09.123456Z'] })
  .describe('RFC 3339, UTC, with microseconds.')

/** A point in time of a request, in any offset. */
export const timestampInput = z.iso
  .datetime({ offset: true, error: 'has to be a time like 2026-11-22T15:30:09Z' })
  .transform(inUtc)
  .describe('RFC 3339: 2026-11-22T15:30:09Z.')

/** Postgres knows offsets of up to sixteen hours, and RFC 3339 of up to a day. No digit of a second is lost. */
function inUtc(text: string): string {
  const [, digits = ''] = /\.(\d+)/.exec(text) ?? []
  return new Date(text).toISOString().replace(/\.\d+Z$/, digits === '' ? 'Z' : `.${digits}Z`)
}

export const eventTypeName = z
  .string()
  .max(255, 'has to be at most 255 characters')
  .regex(/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/, 'has to be a dotted name like order.created')
  .describe('An event type, a dotted name.')
  .meta({ examples: ['order.created'] })

export const tenantName = text(255).describe('A tenant, by the name that your application has for it.')

/** Postgres's text of a timestamptz as the API shows it. */
export function shownTime(postgres: string): string {
  return rfc3339(postgres) ?? postgres
}

export function shownTimeOrNull(postgres: string | null): string | null {
  return postgres === null ? null : shownTime(postgres)
}

/** Unix milliseconds, in the same form. */
export function shownInstant(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z')
}

/** Of a change. Other headers are nobody's to refuse. */
export const conditional = z.looseObject({
  'if-match': z
    .string()
    .max(1_000)
    .optional()
    .describe(
      'The ETag of the state that you have read: where it has changed since, 412, and nothing is done.',
    ),
})
