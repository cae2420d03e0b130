/** The log for a person: one line an attempt, and one for whatever else there is to know. */
import { z } from 'zod'
import { visible, visibleJson } from '../core/untrusted-text.ts'
import type { LogDestination } from '../telemetry/logger.ts'
import type { Paint, Style } from './terminal.ts'

const logLine = z.looseObject({ level: z.string(), time: z.string(), msg: z.string() })
type LogLine = z.infer<typeof logLine>

const attemptLine = logLine.extend({
  delivery_id: z.string(),
  event_type: z.string(),
  attempt: z.number(),
  outcome: z.string(),
  status: z.number().optional(),
  error: z.string().optional(),
  duration_ms: z.number(),
  next_attempt_at: z.string().optional(),
})

const LEVEL_STYLES: Readonly<Record<string, Style>> = { warn: 'yellow', error: 'red', fatal: 'red' }
const OUTCOME_STYLES: Readonly<Record<string, Style>> = { delivered: 'green', pending: 'yellow', dead: 'red' }

/** `print` gets whole lines, safe for a terminal. */
export function readableLog(print: (line: string) => void, paint: Paint): LogDestination {
  return { write: (json) => print(readableLine(json, paint)) }
}

function readableLine(json: string, paint: Paint): string {
  const line = logLine.parse(JSON.parse(json))
  const clock = paint('dim', line.time.slice(11, 23))
  const attempt = attemptLine.safeParse(line)
  if (line.msg === 'delivery.attempted' && attempt.success)
    return `${clock} ${readableAttempt(attempt.data, paint)}`
  const name = paint(LEVEL_STYLES[line.level] ?? 'cyan', visible(line.msg))
  return [clock, name, ...fields(line, paint)].join(' ')
}

function readableAttempt(line: z.infer<typeof attemptLine>, paint: Paint): string {
  const outcome = line.outcome === 'pending' ? 'to retry' : line.outcome
  const answer = line.status ?? line.error ?? ''
  const next = line.next_attempt_at === undefined ? '' : `, again at ${line.next_attempt_at.slice(11, 23)}`
  return visible(
    `${outcome.padEnd(9)} ${line.event_type}, delivery ${line.delivery_id}, attempt ${line.attempt}: ` +
      `${answer} in ${line.duration_ms} ms${next}`,
  ).replace(outcome, paint(OUTCOME_STYLES[line.outcome] ?? 'dim', outcome))
}

function fields(line: LogLine, paint: Paint): string[] {
  return Object.entries(line)
    .filter(([name, value]) => !['level', 'time', 'msg'].includes(name) && value !== undefined)
    .map(([name, value]) => {
      const text = typeof value === 'string' ? visible(value) : visibleJson(value)
      return `${paint('dim', `${name}=`)}${text}`
    })
}
