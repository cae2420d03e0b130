/** `${NAME}` in a file's texts: the value of that variable. What came from there is shown nowhere. */

export interface Substituted {
  readonly value: unknown
  /** Whether any of it came from the environment. */
  readonly isFromEnvironment: boolean
  /** Variables that are not set. */
  readonly missing: readonly string[]
}

const REFERENCE = /\$(\$)?\{([^}]*)\}/g
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/

/** In texts at any depth; `$${` stands for `${`. */
export function substituted(
  value: unknown,
  environment: Readonly<Record<string, string | undefined>>,
): Substituted {
  const missing: string[] = []
  let isFromEnvironment = false
  const inText = (text: string): string =>
    text.replaceAll(REFERENCE, (whole, escape: string | undefined, name: string) => {
      if (escape !== undefined) return whole.slice(1)
      const found = NAME.test(name) ? environment[name] : undefined
      if (found === undefined) missing.push(name)
      else isFromEnvironment = true
      return found ?? whole
    })
  const within = (each: unknown): unknown => {
    if (typeof each === 'string') return inText(each)
    if (Array.isArray(each)) return each.map(within)
    if (typeof each === 'object' && each !== null)
      return Object.fromEntries(Object.entries(each).map(([key, member]) => [key, within(member)]))
    return each
  }
  return { value: within(value), isFromEnvironment, missing }
}
