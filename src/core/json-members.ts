/** The members of a JSON object, or the elements of an array, as the texts that stand there: parsing and printing them again would cost digits and blanks. */

/** `json` has to be JSON already. Undefined where it is not an object. The last of two members of one name counts, as for JSON.parse. */
export function memberTexts(json: string): ReadonlyMap<string, string> | undefined {
  const text = json.trim()
  if (!text.startsWith('{')) return undefined
  const members = new Map<string, string>()
  let at = 1
  while (at < text.length) {
    const nameStart = text.indexOf('"', at)
    if (nameStart === -1) break
    const nameEnd = endOfString(text, nameStart)
    const valueStart = text.indexOf(':', nameEnd) + 1
    const valueEnd = endOfValue(text, valueStart)
    members.set(JSON.parse(text.slice(nameStart, nameEnd)) as string, text.slice(valueStart, valueEnd).trim())
    at = valueEnd + 1
  }
  return members
}

/** `json` has to be JSON already. Undefined where it is not an array. */
export function elementTexts(json: string): readonly string[] | undefined {
  const text = json.trim()
  if (!text.startsWith('[')) return undefined
  const elements: string[] = []
  for (let at = 1; at < text.length;) {
    const end = endOfValue(text, at)
    const element = text.slice(at, end).trim()
    // `[]` has none; nothing else leaves a gap.
    if (element !== '') elements.push(element)
    at = end + 1
  }
  return elements
}

/** Behind the closing quote of the string that begins at `start`. */
function endOfString(text: string, start: number): number {
  let at = start + 1
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at + 1
}

/** At the comma, brace or bracket that ends the value. */
function endOfValue(text: string, start: number): number {
  let depth = 0
  let at = start
  for (;;) {
    const char = text[at]
    if (char === '"') {
      at = endOfString(text, at)
      continue
    }
    if (depth === 0 && (char === ',' || char === '}' || char === ']')) return at
    if (char === '{' || char === '[') depth++
    if (char === '}' || char === ']') depth--
    at++
  }
}
