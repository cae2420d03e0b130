/**
 * What a sidecar says is searched for everything that it must not say, at the end of each test (see no-leaks.ts).
 *
 * Secrets come here by themselves: those that SQL or a command tells a test, the passwords of database URLs, and what an
 * environment holds under a telling name. Payloads and headers of events carry a canary. What is found is never printed.
 */

/** Stands in the payload and the headers of events that tests publish without their own. */
export const CANARY = 'canary-9f2c41-of-a-payload'

interface Output {
  readonly where: string
  readonly text: () => string
}

/** A text to look for, and what it is for whoever reads of a hit. */
const confided = new Map<string, string>([[CANARY, "an event's payload or headers"]])
let outputs: Output[] = []

/** What looks like a secret is one, whether or not anybody confided it. */
const SHAPES: readonly (readonly [RegExp, string])[] = [
  [/whsec_[A-Za-z0-9+/_-]{16,}/, 'a signing secret'],
  [/whsk_[A-Za-z0-9+/_-]{16,}/, 'a private key'],
  [/whk_[A-Za-z0-9_-]{24,}/, 'a key of the API'],
  [/\bv1a?,[A-Za-z0-9+/]{40,}=*/, 'a signature'],
  // Not the one by which a remedy shows the form.
  [/\b[a-z+]+:\/\/(?!user:password@)[^\s/:@"']*:[^\s/@"']+@/, 'a URL with a password'],
  [/\bBearer [A-Za-z0-9._~+/-]{8,}/i, 'a bearer token'],
]

/** Shorter ones occur by chance, or as words. */
const SHORTEST = 10

/** From now on this must stand in no output, however it is spelt. */
export function confide(secret: string, what: string): void {
  if (secret.length < SHORTEST) return
  const bytes = Buffer.from(secret)
  const spellings = [
    secret,
    encodeURIComponent(secret),
    JSON.stringify(secret).slice(1, -1),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('hex'),
  ]
  for (const spelling of spellings) confided.set(spelling, what)
}

/** Signing secrets in what SQL or a command said: the key alone, in each of its spellings. */
export function confideSecretsIn(text: string): void {
  for (const [, base64 = ''] of text.matchAll(/whsec_([A-Za-z0-9+/]{16,})/g)) {
    confided.set(base64, 'a signing secret')
    confided.set(Buffer.from(base64, 'base64').toString('hex'), 'a signing key')
  }
}

/** Passwords of URLs, and the values of what is called a token, key, secret or password. */
export function confideEnvironment(env: Readonly<Record<string, string | undefined>>): void {
  for (const [name, value = ''] of Object.entries(env)) {
    confideSecretsIn(value)
    if (URL.canParse(value)) confide(decodeURIComponent(new URL(value).password), `the password in ${name}`)
    else if (/TOKEN|KEY|SECRET|PASSWORD/.test(name)) for (const part of value.split(',')) confide(part, name)
  }
}

/** `text` is asked when the test ends. */
export function watchOutput(where: string, text: () => string): void {
  outputs.push({ where, text })
}

/** Throws where any output since the last call holds what it must not; says where, and not what it was. */
export function assertNothingLeaked(): void {
  const watched = outputs
  outputs = []
  const leaks = watched.flatMap(({ where, text }) => leaksIn(text()).map((leak) => `${where}: ${leak}`))
  if (leaks.length > 0) throw new Error(`leaked: ${[...new Set(leaks)].join('; ')}`)
}

/** What leaked, and in which line of how many; of a line of JSON, its name. */
export function leaksIn(output: string): string[] {
  const found = [...confided].filter(([text]) => output.includes(text))
  const shaped = SHAPES.filter(([shape]) => shape.test(output))
  if (found.length + shaped.length === 0) return []
  return output.split('\n').flatMap((line, i) => {
    const name = /"msg":"([a-z_]+\.[a-z_]+)"/.exec(line)?.[1]
    const place = name === undefined ? `line ${i + 1}` : `line ${i + 1}, ${name}`
    return [
      ...found.filter(([text]) => line.includes(text)),
      ...shaped.filter(([shape]) => shape.test(line)),
    ].map(([, what]) => `${what} in ${place}`)
  })
}
