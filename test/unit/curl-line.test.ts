/** A request as a line for a shell: what a shell makes of it is what was to be sent. */
import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { curlLine } from '../../src/core/curl-line.ts'
import { anyText } from './any-text.ts'

/** What the line's curl would have been given: its arguments, and its standard input. */
function run(line: string): { readonly args: readonly string[]; readonly body: Buffer } {
  const script = `curl() { for a; do printf '%s\\0' "$a"; done; printf '\\0'; cat; }\n${line}`
  const output = execFileSync('/bin/sh', ['-c', script])
  const end = output.indexOf('\0\0')
  return { args: output.toString('utf8', 0, end).split('\0'), body: output.subarray(end + 2) }
}

const request = (more: Partial<Parameters<typeof curlLine>[0]> = {}): Parameters<typeof curlLine>[0] => ({
  method: 'POST',
  url: 'https://example.com/hook?a=b&c=$(id)',
  headers: { 'content-type': 'application/json' },
  body: Buffer.from('{}'),
  ...more,
})

test('method, URL, headers and body arrive as they are', () => {
  const headers = { 'x-a': `it's $HOME "here" \`id\``, 'x-empty': '' }
  expect(run(curlLine(request({ headers, body: Buffer.from(`{"it's": "100 %s \\\\n $HOME"}`) })))).toEqual({
    args: [
      '-sS',
      '-i',
      '-X',
      'POST',
      '--globoff',
      '--path-as-is',
      '-H',
      `x-a: it's $HOME "here" \`id\``,
      '-H',
      'x-empty;',
      '--data-binary',
      '@-',
      'https://example.com/hook?a=b&c=$(id)',
    ],
    body: Buffer.from(`{"it's": "100 %s \\\\n $HOME"}`),
  })
})

test.each(['-1', '@/etc/passwd', '\u001b[31m\u202e\u0000\t\r\n', 'é 💥 \\u0041', '%d%%', "'"])(
  'a body of %j is sent byte for byte',
  (body) => {
    const line = curlLine(request({ body: Buffer.from(body) }))
    expect(run(line).body.toString()).toBe(body)
    // oxlint-disable-next-line no-control-regex -- what a terminal would act on
    expect(line).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/)
  },
)

test('so is any other', () => {
  fc.assert(
    fc.property(anyText, (body) => {
      expect(run(curlLine(request({ body: Buffer.from(body) }))).body).toEqual(Buffer.from(body))
    }),
    { numRuns: 40 },
  )
})

test('one that is too long for an argument is no trouble', () => {
  const body = Buffer.from(JSON.stringify({ padding: 'x'.repeat(600_000) }))
  const line = curlLine(request({ body }))
  expect(line.length).toBeGreaterThan(body.length)
})
