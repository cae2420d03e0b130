/**
 * JSON with members that are texts already: a payload is shown with the digits and the order that it was written with. They have to be
 * JSON; what in them a terminal might act on is escaped, which in JSON means the same.
 */
import { visible, visibleJson } from './untrusted-text.ts'

export function visibleJsonWith(value: object, raw: Readonly<Record<string, string>>): string {
  const members = Object.entries(raw).map(([name, json]) => `${visibleJson(name)}:${visibleRawJson(json)}`)
  const own = visibleJson(value)
  if (members.length === 0) return own
  return `${own.slice(0, -1)}${own === '{}' ? '' : ','}${members.join(',')}}`
}

/** White space between values may be line breaks, and stays; within strings there is none. */
export function visibleRawJson(json: string): string {
  return json.replaceAll(/[^\t\n\r]+/g, visible)
}
