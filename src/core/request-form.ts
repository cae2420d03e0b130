/** How the requests to one endpoint look, worked out when its subscription is read and not at each attempt. */
import type { BodyForm } from './body-form.ts'
import { type HeaderNames, headerNames } from './header-names.ts'

export interface RequestForm {
  readonly method: 'POST' | 'PUT'
  readonly body: BodyForm
  readonly names: HeaderNames
  /** Of one's own, in place of ours. */
  readonly userAgent: string | undefined
  /** Of one's own, sent with each request. */
  readonly headers: Readonly<Record<string, string>>
  /** By their lower-case names, the names under which the event's headers are sent on. */
  readonly forwarded: ReadonlyMap<string, string>
}

/** As it stands in a subscription's row, where walhook.check_request has kept out what must not be in a request. */
export interface RequestOptions {
  readonly method: 'POST' | 'PUT'
  readonly body: BodyForm
  readonly headers: Readonly<Record<string, string>>
  readonly forwardHeaders: readonly string[]
  readonly headerPrefix: string | undefined
}

const USER_AGENT = 'user-agent'
/** Printable, so that nothing ends a header and begins another. */
const FORWARDED_VALUE = /^[\x20-\x7e]{1,1024}$/

export function requestForm(options: RequestOptions): RequestForm {
  const own = Object.entries(options.headers)
  const spelling = new Map(own.map(([name]) => [name.toLowerCase(), name]))
  return {
    method: options.method,
    body: options.body,
    names: headerNames(options.headerPrefix),
    userAgent: own.find(([name]) => name.toLowerCase() === USER_AGENT)?.[1],
    headers: Object.fromEntries(own.filter(([name]) => name.toLowerCase() !== USER_AGENT)),
    // Spelt like one's own header of that name, which the event's then replaces.
    forwarded: new Map(
      options.forwardHeaders.map((name) => [
        name.toLowerCase(),
        spelling.get(name.toLowerCase()) ?? name.toLowerCase(),
      ]),
    ),
  }
}

/** One's own headers, and those of the event that are to be sent on; of these only texts that can be a header's value. */
export function ownHeaders(
  { headers, forwarded }: RequestForm,
  eventHeaders: Readonly<Record<string, unknown>>,
): Readonly<Record<string, string>> {
  if (forwarded.size === 0) return headers
  const all = { ...headers }
  for (const [name, value] of Object.entries(eventHeaders)) {
    const spelt = forwarded.get(name.toLowerCase())
    if (spelt !== undefined && typeof value === 'string' && FORWARDED_VALUE.test(value)) all[spelt] = value
  }
  return all
}
