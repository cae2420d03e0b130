/**
 * A request as a line for a POSIX shell, with curl. Invariants: whatever stands in the request, the shell reads it as data; and
 * nothing in the line is more than a terminal can show.
 */
import { visible } from './untrusted-text.ts'

export interface CurlRequest {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

export function curlLine({ method, url, headers, body }: CurlRequest): string {
  const lines = [
    // Through a pipe: an argument can be too long, and what begins with @ would be a file.
    `printf '${formatOf(body)}' | curl -sS -i -X ${quoted(method)} --globoff --path-as-is`,
    ...Object.entries(headers).map(
      ([name, value]) => `-H ${quoted(value === '' ? `${name};` : `${name}: ${value}`)}`,
    ),
    `--data-binary @-`,
    quoted(url),
  ]
  return lines.join(' \\\n  ')
}

/** Within single quotes a shell acts on nothing but the quote that ends them. */
function quoted(text: string): string {
  return `'${visible(text).replaceAll("'", String.raw`'\''`)}'`
}

/** For printf, which acts on % and \ and turns octal numbers into bytes. */
function formatOf(body: Buffer): string {
  const text = body.toString('utf8')
  return (
    text
      .replaceAll('\\', String.raw`\\`)
      .replaceAll('%', '%%')
      .replaceAll("'", String.raw`'\''`)
      // A number below zero would look like an option.
      .replace(/^-/, octal)
      .replaceAll(/[^\n\x20-\x7e]/gu, (character) =>
        visible(character) === character && character !== '\t' ? character : octal(character),
      )
  )
}

function octal(character: string): string {
  return [...Buffer.from(character)].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('')
}
