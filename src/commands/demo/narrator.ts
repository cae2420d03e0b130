/** Tells the demo's story to a person as it happens, or, for a program, only how it ended. Decides nothing. */
import { visible, visibleJson } from '../../core/untrusted-text.ts'
import { seconds, type Terminal } from '../terminal.ts'
import { CONNECTIONS, type WrittenEvent } from './application.ts'
import { type Ending, endingAsJson, isTrue, whatCameOfIt, whatPsqlShows } from './ending.ts'
import type { Receipt } from './receiver.ts'
import { ENDPOINT_NAMES, ENDPOINTS, TOLD_ORDERS } from './story.ts'

export class Narrator {
  readonly #terminal: Terminal
  readonly #programName: string
  readonly #asJson: boolean
  readonly #startedAtMs = performance.now()
  readonly #endedAtMs = new Map<string, number>()
  #tellsEach = true
  #chapters = 0

  constructor(terminal: Terminal, programName: string, asJson: boolean) {
    this.#terminal = terminal
    this.#programName = programName
    this.#asJson = asJson
  }

  opens(): void {
    this.#say(
      'A shop writes each order and its events in one transaction. Walhook reads what was committed from',
    )
    this.#say(
      "Postgres's log and delivers it as signed webhooks, at least once. What was rolled back is never sent.",
    )
  }

  groundIsLaid(port: number): void {
    const took = seconds(performance.now() - this.#startedAtMs)
    this.#chapter(
      `Up after ${took}: Postgres on 127.0.0.1:${port}, the sidecar, the shop, and three endpoints`,
    )
    for (const name of ENDPOINT_NAMES) {
      const { eventTypes, filter, failures, retrySchedule = [] } = ENDPOINTS[name]
      const where = filter === undefined ? '' : ` where ${filter}`
      const but =
        failures === 0
          ? ''
          : `, but answers 503 ${failures === 2 ? 'twice' : `${failures} times`} before it accepts; retried after ${retrySchedule.join(' and ')}`
      this.#line(`/${name}`, `wants ${eventTypes.join(', ')}${where}${but}`)
    }
  }

  shopOpens(): void {
    this.#chapter(`${TOLD_ORDERS.length} orders over ${CONNECTIONS} connections; one card is declined`)
  }

  sold(written: readonly WrittenEvent[]): void {
    const order = written[0]?.order
    if (order === undefined) return
    for (const { id, endedAtMs } of written) this.#endedAtMs.set(id, endedAtMs)
    const events = written.map(({ event }) => event.type).join(' and ')
    const what = `order ${order.number}, ${order.customer}, ${order.amount.toFixed(2)}, with ${events}`
    const fate = order.fate === 'commit' ? 'COMMIT   ' : this.#terminal.paint('red', 'ROLLBACK ')
    this.#line('shop', `${fate} ${what}`)
  }

  received(receipt: Receipt): void {
    if (!this.#tellsEach) return
    const { endpoint, eventType, attempt, status, verdict, body, eventId, arrivedAtMs } = receipt
    const isGood = verdict.kind === 'verified' && status < 300
    const mark = verdict.kind === 'verified' ? '✓ verified' : '✗ not verified'
    const endedAtMs = this.#endedAtMs.get(eventId)
    const after =
      endedAtMs === undefined ? '' : `, ${(arrivedAtMs - endedAtMs).toFixed(1)} ms after the commit`
    this.#line(
      `/${endpoint}`,
      `${this.#terminal.paint(isGood ? 'green' : 'yellow', mark)} ${visible(eventType)} of order ${orderOf(body)}: ` +
        `attempt ${attempt}, answered ${status}${after}`,
    )
  }

  trafficBegins(orders: number): void {
    this.#tellsEach = false
    this.#chapter(
      `${orders} more orders, one by one over the same connections, to time the way from commit to receipt`,
    )
  }

  ends(ending: Ending): void {
    if (this.#asJson) this.#terminal.print(visibleJson(endingAsJson(ending)))
    const { paint } = this.#terminal
    this.#chapter('What psql shows')
    for (const line of whatPsqlShows(ending, paint)) this.#say(line)
    this.#chapter('What came of it')
    for (const line of whatCameOfIt(ending, paint)) this.#say(line)
    const took = seconds(performance.now() - this.#startedAtMs)
    this.#say(
      isTrue(ending)
        ? `The story came true, in ${took}. To try it yourself: ${this.#programName} dev`
        : `The story did not come true (${took}).`,
    )
  }

  #chapter(title: string): void {
    this.#say('')
    this.#say(this.#terminal.paint('bold', `${++this.#chapters}. ${title}`))
  }

  #line(who: string, what: string): void {
    this.#say(`   ${this.#terminal.paint('cyan', who.padEnd(12))} ${what}`)
  }

  #say(line: string): void {
    if (!this.#asJson) this.#terminal.print(line)
  }
}

/** Our own event, of which we know what is in it; anything else is shown as a question. */
function orderOf(body: string): string {
  return /"order":(\d+)/.exec(body)?.[1] ?? '?'
}
