/** Sends a test to an endpoint, and shows it arrive: recorded, attempted, answered. */
import { get, send } from '../api.js'
import { h, replace } from '../dom.js'
import { duration } from '../format.js'
import { onChange } from '../live.js'
import { badge } from '../parts/badge.js'
import { answerBlock } from '../parts/code.js'
import { button, openDialog } from '../parts/dialog.js'
import { icon } from '../parts/icon.js'
import { errorState } from '../parts/states.js'
import { isSuccess, outcomeText } from '../parts/strip.js'
import { time } from '../parts/time.js'
import { link } from '../router.js'

/** @import { DeliveryWithAttempts, TestOutcome } from '../shapes.ts' */
/** @import { Child } from '../dom.js' */

const LOOK_EVERY_MS = 1000

/**
 * @param {{ path: string, signal: AbortSignal }} options
 */
export function testSubscription({ path, signal }) {
  const closed = new AbortController()
  openDialog({
    title: 'Test',
    signal,
    onClosed: () => closed.abort(),
    body: (dialog) => {
      const place = h('div', { 'aria-live': 'polite' })
      const foot = h('footer', { class: 'dialog-foot' })
      const run = async () => {
        replace(foot)
        replace(place, steps([['busy', 'A walhook.test event is sent to it…', null]]))
        try {
          const outcome = /** @type {TestOutcome} */ (await send('POST', `${path}/test`, {}))
          show(outcome)
          if (outcome.attempt === null && outcome.state === 'pending') follow(outcome.delivery_id)
        } catch (error) {
          replace(place, errorState(error))
        }
        replace(foot, button('Send another', 'button', run), button('Close', 'button primary', dialog.close))
      }
      const show = (/** @type {TestOutcome} */ outcome) => replace(place, story(outcome))
      /** @param {string} id */
      const follow = (id) => {
        const look = async () => {
          const delivery = /** @type {DeliveryWithAttempts} */ (
            await get(`/v1/deliveries/${id}`, { signal: closed.signal })
          )
          const attempt = delivery.attempts.at(-1)
          if (attempt === undefined && delivery.state === 'pending') return
          clearInterval(timer)
          show({ ...delivery, delivery_id: id, attempt: attempt ?? null })
        }
        const timer = setInterval(() => void look().catch(() => undefined), LOOK_EVERY_MS)
        closed.signal.addEventListener('abort', () => clearInterval(timer))
        onChange(['delivery'], () => void look().catch(() => undefined), closed.signal)
      }
      void run()
      return [place, foot]
    },
  })
}

/** @param {TestOutcome} outcome */
function story({ delivery_id: id, state, waits_as: waits, next_attempt_at: next, attempt }) {
  const isGood = attempt !== null && isSuccess(attempt.response_status)
  return [
    steps([
      ['good', ['Recorded as ', h('a', { href: link(`/deliveries/${id}`) }, `delivery ${id}`)], null],
      attempt === null
        ? [
            'busy',
            state === 'pending' ? `Not attempted yet: ${waits ?? 'pending'}` : `Ended as ${state}`,
            null,
          ]
        : [
            isGood ? 'good' : 'bad',
            [
              badge(isGood ? 'good' : 'bad', outcomeText(attempt.response_status, attempt.error)),
              ' after ',
              duration(attempt.duration_ms),
            ],
            attempt.response_body === null || attempt.response_body === ''
              ? null
              : answerBlock(attempt.response_body, 'Response body'),
          ],
      ...(attempt !== null && !isGood && state === 'pending'
        ? [/** @type {Step} */ (['busy', ['The next attempt is due ', time(next)], null])]
        : []),
    ]),
  ]
}

/** @typedef {readonly ['good' | 'bad' | 'busy', Child, Child]} Step */

/** @param {readonly Step[]} all */
function steps(all) {
  return h(
    'ol',
    { class: 'timeline' },
    all.map(([tone, text, body]) =>
      h(
        'li',
        { class: `step tone-${tone}` },
        h(
          'span',
          { class: 'step-sign' },
          icon(tone === 'good' ? 'check' : tone === 'bad' ? 'cross' : 'clock'),
        ),
        h('div', { class: 'step-body' }, h('p', {}, text), body),
      ),
    ),
  )
}
