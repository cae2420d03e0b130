/** `walhook subscriptions test` and `try-filter`: what would happen, and what does. */
import { parseDuration } from '../../core/duration.ts'
import { visible, visibleJson, visibleLines } from '../../core/untrusted-text.ts'
import { WalhookError } from '../../lifecycle/errors.ts'
import { tryFilter } from '../../store/filters.ts'
import type { TestOutcome } from '../../store/test-events.ts'
import { testSubscription } from '../../subscription-test.ts'
import type { CommandContext } from '../command.ts'
import { withDatabase } from '../operator-database.ts'
import { psqlTable } from '../psql-table.ts'
import { invalidInput, refusingInput } from '../refusal.ts'
import { calledBy, meantBy } from './find.ts'
import type { PrintFlags } from './look.ts'

export interface TestFlags extends PrintFlags {
  readonly wait: string
}

/** Exit code 1 where it failed: whoever scripts it wants to know. */
export async function test(context: CommandContext, which: string, flags: TestFlags): Promise<void> {
  const { terminal } = context
  const waitMs = parseDuration(flags.wait)
  if (waitMs === undefined) throw invalidInput('wait has to be a duration like 5s')
  const outcome = await withDatabase(context, (database) =>
    refusingInput('subscription', async () => {
      const meant = await meantBy(database, which)
      const tested = await testSubscription(database, meant.id, null, { waitMs })
      if (tested === undefined) throw new WalhookError('not_found', `there is no ${calledBy(meant)}`)
      return tested
    }),
  )
  if (flags.json) terminal.print(visibleJson({ test: outcome }))
  else print(context, outcome)
  if (outcome.attempt !== null && outcome.state !== 'delivered')
    throw new WalhookError('test_failed', `the test was not accepted: ${reason(outcome)}`)
}

function print({ terminal, programName }: CommandContext, outcome: TestOutcome): void {
  const { attempt, delivery_id: id, event_id: eventId, waits_as: waitsAs } = outcome
  if (attempt === null) {
    terminal.print(
      `delivery ${id} is under way${waitsAs === null ? '' : ` (${waitsAs})`}: webhook-id ${eventId}`,
    )
    terminal.note(`Look at it with: ${programName} deliveries show ${id}`)
    return
  }
  const how =
    outcome.state === 'delivered' ? terminal.paint('green', 'delivered') : terminal.paint('red', 'failed')
  terminal.print(
    `${how}: ${reason(outcome)} after ${attempt.duration_ms} ms; delivery ${id}, webhook-id ${eventId}`,
  )
  if (attempt.response_body === null || attempt.response_body === '') return
  terminal.print(terminal.paint('bold', "The endpoint's answer:"))
  terminal.print(visibleLines(attempt.response_body))
}

function reason({ attempt }: TestOutcome): string {
  const status = attempt?.response_status ?? null
  return [
    ...(status === null ? [] : [`status ${status}`]),
    ...(attempt?.error == null ? [] : [attempt.error]),
  ].join(', ')
}

export interface TryFilterFlags extends PrintFlags {
  readonly eventTypes?: readonly string[]
  readonly tenant?: string
  readonly limit: number
}

const EXCERPT = 60

export async function tryOut(context: CommandContext, filter: string, flags: TryFilterFlags): Promise<void> {
  const { terminal } = context
  const { tenant = null, eventTypes, limit } = flags
  const events = await withDatabase(context, (database) =>
    refusingInput('filter', () => tryFilter(database, tenant, { filter, eventTypes, limit })),
  )
  if (flags.json) {
    terminal.print(visibleJson({ events }))
    return
  }
  const cells = events.map((event) => ({ ...event, payload: visible(event.payload).slice(0, EXCERPT) }))
  terminal.print(
    psqlTable(
      ['matches', 'type', 'key', 'tenant', 'created_at', 'event_id', 'payload'],
      cells,
      (text, column) => (column === 'matches' && text === 'true' ? terminal.paint('green', text) : text),
    ),
  )
  const matching = events.filter(({ matches }) => matches).length
  terminal.note(`${matching} of ${events.length} recent events match.`)
}
