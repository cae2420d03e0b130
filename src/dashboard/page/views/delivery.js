/** One delivery as the story of its attempts, up to what comes next. */
import { get, send } from '../api.js'
import { h, replace } from '../dom.js'
import { duration, errorText } from '../format.js'
import { badge, stateBadge } from '../parts/badge.js'
import { answerBlock, jsonBlock, textBlock } from '../parts/code.js'
import { copyableId } from '../parts/copy.js'
import { button, confirm } from '../parts/dialog.js'
import { icon } from '../parts/icon.js'
import { card, endpointText, facts, viewHead } from '../parts/layout.js'
import { region } from '../parts/region.js'
import { isSuccess, outcomeText } from '../parts/strip.js'
import { time } from '../parts/time.js'
import { told, toldFailure } from '../parts/toast.js'
import { link } from '../router.js'
import { may } from '../session.js'

/** @import { Attempt, DeliveryWithAttempts, OutboxEvent } from '../shapes.ts' */
/** @import { Context, View } from '../router.js' */
/** @import { IconName } from '../parts/icon.js' */
/** @import { Child } from '../dom.js' */

/** @param {Context} context @returns {View} */
export function deliveryView({ params, signal, me }) {
  const id = params['id'] ?? ''
  const path = `/v1/deliveries/${encodeURIComponent(id)}`
  const actions = h('div', { class: 'actions' })
  const lead = h('div', { class: 'lead-parts' })
  const story = region({
    label: 'Delivery',
    signal,
    hints: ['delivery'],
    load: () => /** @type {Promise<DeliveryWithAttempts>} */ (get(path, { signal })),
    show: (delivery, node) => {
      replace(
        lead,
        stateBadge(delivery.state),
        h('span', { class: 'faint' }, 'to '),
        endpointText(delivery.url),
      )
      if (may(me, 'operate'))
        replace(
          actions,
          actionsFor(delivery, path, signal, () => void story.refresh()),
        )
      replace(node, summary(delivery), card('Attempts', timeline(delivery)))
    },
  })
  const request = card('Request', requestPart(path, signal))
  const eventPlace = h('div', { class: 'region' })
  void loadEvent(path, signal, eventPlace)
  return {
    title: `Delivery ${id}`,
    node: h(
      'div',
      {},
      viewHead({
        title: ['Delivery ', h('span', { class: 'num' }, id)],
        lead,
        actions,
        back: { href: link('/deliveries'), text: 'Deliveries' },
      }),
      h('div', { class: 'columns' }, story.node, h('div', { class: 'stack' }, request, eventPlace)),
    ),
  }
}

/**
 * @param {DeliveryWithAttempts} delivery
 * @param {string} path
 * @param {AbortSignal} signal
 * @param {() => void} refresh
 */
function actionsFor({ state }, path, signal, refresh) {
  const resend = button(
    [icon('again'), 'Resend'],
    state === 'dead' ? 'button primary' : 'button',
    async () => {
      try {
        await send('POST', `${path}/resend`)
        told('It will be attempted again at once')
        refresh()
      } catch (error) {
        toldFailure(error)
      }
    },
  )
  const cancel = button('Cancel', 'button', () =>
    confirm({
      title: 'Cancel this delivery?',
      text: 'It is not attempted any more. It can be resent later.',
      verb: 'Cancel delivery',
      isDangerous: true,
      signal,
      run: async () => {
        await send('POST', `${path}/cancel`)
        told('Cancelled')
        refresh()
      },
    }),
  )
  return state === 'pending' ? [cancel] : [resend]
}

/** @param {DeliveryWithAttempts} delivery */
function summary(delivery) {
  return card(
    'Summary',
    facts([
      [
        'Event',
        h(
          'span',
          {},
          h('a', { href: link(`/events/${delivery.event_id}`) }, delivery.event_type ?? 'event'),
          ' ',
        ),
      ],
      ['webhook-id', copyableId(delivery.event_id, 'Copy event id')],
      ['Key', delivery.key],
      ['Tenant', delivery.tenant],
      [
        'Subscription',
        h('a', { href: link(`/subscriptions/${delivery.subscription_id}`) }, endpointText(delivery.url)),
      ],
      ['Created', time(delivery.created_at)],
      ['Finished', delivery.finished_at === null ? null : time(delivery.finished_at)],
      ['Waits as', delivery.waits_as],
    ]),
  )
}

/** @param {DeliveryWithAttempts} delivery */
function timeline(delivery) {
  const { attempts } = delivery
  const last = attempts.at(-1)
  return h(
    'ol',
    { class: 'timeline' },
    step('events', 'quiet', 'Delivery recorded', time(delivery.created_at), null),
    attempts.map((attempt) => attemptStep(attempt, attempt === last)),
    ending(delivery),
  )
}

/**
 * @param {Attempt} attempt
 * @param {boolean} isOpen
 */
function attemptStep(attempt, isOpen) {
  const isGood = isSuccess(attempt.response_status)
  return step(
    isGood ? 'check' : 'cross',
    isGood ? 'good' : 'bad',
    [
      `Attempt ${attempt.number} `,
      badge(isGood ? 'good' : 'bad', outcomeText(attempt.response_status, attempt.error)),
    ],
    [
      time(attempt.started_at),
      ' · took ',
      duration(attempt.duration_ms),
      attempt.batch_id === null ? null : ' · in a batch',
    ],
    h(
      'details',
      { open: isOpen },
      h('summary', {}, 'Response'),
      attempt.error === null
        ? null
        : h('p', { class: 'hint' }, errorText(attempt.error), ' (', h('code', {}, attempt.error), ')'),
      attempt.response_body === null || attempt.response_body === ''
        ? h(
            'p',
            { class: 'faint' },
            attempt.response_status === null ? 'No response came.' : 'No body came with it.',
          )
        : answerBlock(attempt.response_body, 'Response body'),
    ),
  )
}

/** @param {DeliveryWithAttempts} delivery */
function ending({
  state,
  waits_as: waits,
  next_attempt_at: next,
  attempts,
  last_error: error,
  finished_at: at,
}) {
  switch (state) {
    case 'delivered':
      return step('check', 'good', 'Delivered', time(at), null)
    case 'dead':
      return step('cross', 'bad', 'Dead letter', [time(at), ' · not attempted again by itself'], null)
    case 'cancelled':
      return step(
        'minus',
        'quiet',
        'Cancelled',
        [time(at), error === null ? null : ` · ${errorText(error)}`],
        null,
      )
    case 'pending':
      return step(
        'clock',
        'busy',
        next === null ? `Attempt ${attempts.length + 1}` : [`Attempt ${attempts.length + 1} `, time(next)],
        waits ?? 'pending',
        null,
      )
  }
}

/**
 * @param {IconName} sign
 * @param {string} tone
 * @param {Child} title
 * @param {Child} when
 * @param {Child} body
 */
function step(sign, tone, title, when, body) {
  return h(
    'li',
    { class: `step tone-${tone}` },
    h('span', { class: 'step-sign' }, icon(sign)),
    h('div', { class: 'step-body' }, h('h3', {}, title), h('p', { class: 'faint' }, when), body),
  )
}

/**
 * @param {string} path
 * @param {AbortSignal} signal
 */
function requestPart(path, signal) {
  const place = h('div', {})
  const ask = button('Show as curl', 'button', async () => {
    try {
      replace(place, textBlock(await get(`${path}/curl`, { signal }), 'curl command'))
    } catch (error) {
      toldFailure(error)
    }
  })
  replace(
    place,
    h('p', { class: 'hint' }, 'The request as it would be sent now, signature aside, to be tried by hand.'),
    h('p', {}, ask),
  )
  return place
}

/**
 * @param {string} path
 * @param {AbortSignal} signal
 * @param {Element} place
 */
async function loadEvent(path, signal, place) {
  try {
    const { event_id: id } = /** @type {DeliveryWithAttempts} */ (await get(path, { signal }))
    const event = /** @type {OutboxEvent} */ (await get(`/v1/events/${id}`, { signal }))
    replace(
      place,
      card('Event', [jsonBlock(event.payload, 'Payload'), jsonBlock(event.headers ?? {}, 'Headers')]),
    )
  } catch {
    // The delivery itself says what is wrong, and an event may have been retained for a shorter time than its delivery.
    replace(place)
  }
}
