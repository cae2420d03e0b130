/**
 * A batch as a receiver gets it, taken apart without a parser of JSON: what it holds is compared byte for byte, and payloads
 * may have what a parser would change.
 */
export interface BatchText {
  readonly id: string
  /** Each event's object, as it stood. */
  readonly events: readonly string[]
}

const HEAD = /^\{"delivery_mode":"batch","batch_id":"([0-9a-f-]{36})","events":\[/

/** Throws where it is not exactly of that form. */
export function readBatch(body: string): BatchText {
  const head = HEAD.exec(body)
  if (head === null || !body.endsWith(']}')) throw new Error(`not a batch: ${body.slice(0, 80)} …`)
  return { id: head[1] ?? '', events: objectsOf(body.slice(head[0].length, -2)) }
}

/** `{…},{…}`, however much is within. */
function objectsOf(text: string): readonly string[] {
  const objects: string[] = []
  let depth = 0
  let from = 0
  // Whole strings, so that brackets within them do not count, and brackets.
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]]/gs)) {
    if (token === '{' || token === '[') depth++
    if (token === '}' || token === ']') depth--
    if (depth === 0 && token === '}') {
      objects.push(text.slice(from, index + 1))
      from = index + 2
      if (from < text.length && text[index + 1] !== ',') throw new Error('not objects with commas between')
    }
  }
  if (depth !== 0 || (text.length > 0 && from !== text.length + 1)) throw new Error('not whole objects')
  return objects
}

export function idsOf(batch: BatchText): readonly string[] {
  return batch.events.map((event) => event.slice('{"id":"'.length, '{"id":"'.length + 36))
}
