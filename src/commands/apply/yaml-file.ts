/** YAML as a person writes it, with the line of everything in it. The only importer of yaml. */
import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, stringify } from 'yaml'
import { visible } from '../../core/untrusted-text.ts'
import { invalidInput } from '../refusal.ts'

/** Beyond, a small file could become a huge value. */
const MOST_ALIASES = 100

/** A value with the place where it stands. */
export interface Placed {
  /** `walhook.yaml:12` */
  readonly place: string
  readonly value: unknown
}

export interface PlacedMember extends Placed {
  /** Where its name stands. */
  readonly namePlace: string
}

export interface PlacedMap {
  readonly place: string
  readonly members: ReadonlyMap<string, PlacedMember>
}

/** Sections of maps: `subscriptions: [{…}]`. One that the file does not have is undefined. */
export type Sections<Name extends string> = Readonly<Record<Name, readonly PlacedMap[] | undefined>>

/** Errors: `invalid_input`, with file and line. */
export function readSections<Name extends string>(
  file: string,
  text: string,
  names: readonly Name[],
): Sections<Name> {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true })
  const placeOf = (node: unknown): string => {
    const range =
      typeof node === 'object' && node !== null ? (Reflect.get(node, 'range') as unknown) : undefined
    const [offset] = Array.isArray(range) ? (range as readonly unknown[]) : []
    return `${visible(file)}:${lines.linePos(typeof offset === 'number' ? offset : 0).line}`
  }
  const [fault] = [...document.errors, ...document.warnings]
  if (fault !== undefined) {
    const { line } = lines.linePos(fault.pos[0])
    // The code says it; the message would quote the file, which may hold secrets.
    throw invalidInput(
      `${visible(file)}:${line}: it is not YAML (${fault.code.toLowerCase().replaceAll('_', ' ')})`,
    )
  }
  const { contents } = document
  const found = new Map<string, readonly PlacedMap[]>()
  if (contents !== null && !isMap(contents) && !(isScalar(contents) && contents.value === null))
    throw invalidInput(`${placeOf(contents)}: the file has to be a map of ${names.join(' and ')}`)
  for (const { key, value } of isMap(contents) ? contents.items : []) {
    const name = keyText(key)
    if (!(names as readonly string[]).includes(name))
      throw invalidInput(
        `${placeOf(key)}: ${visible(name)} is not known here: there are ${names.join(' and ')}`,
      )
    found.set(name, mapsOf(name, value))
  }
  return Object.fromEntries(names.map((name) => [name, found.get(name)])) as Sections<Name>

  function mapsOf(name: string, node: unknown): readonly PlacedMap[] {
    if (node === null || (isScalar(node) && node.value === null)) return []
    if (!isSeq(node)) throw invalidInput(`${placeOf(node)}: ${name} has to be a list`)
    return node.items.map((item) => {
      if (!isMap(item)) throw invalidInput(`${placeOf(item)}: each of ${name} has to be a map`)
      const members = new Map<string, PlacedMember>()
      for (const { key, value } of item.items)
        members.set(keyText(key), {
          namePlace: placeOf(key),
          place: placeOf(value ?? key),
          value: jsonOf(value, placeOf(value ?? key)),
        })
      return { place: placeOf(item), members }
    })
  }

  function jsonOf(node: unknown, place: string): unknown {
    let value: unknown
    try {
      value = isNode(node) ? (node.toJS(document, { maxAliasCount: MOST_ALIASES }) as unknown) : null
    } catch (error) {
      if (!(error instanceof ReferenceError || error instanceof TypeError)) throw error
      throw invalidInput(`${place}: an alias leads nowhere, or to too much`)
    }
    if (value instanceof Uint8Array) throw invalidInput(`${place}: bytes are not taken here`)
    return value
  }
}

/** As a file that `readSections` reads. Texts that YAML would take for something else are quoted. */
export function yamlOf(value: unknown, comment: string): string {
  const head = comment.split('\n').map((line) => `# ${line}`.trimEnd())
  return `${head.join('\n')}\n${stringify(value, { lineWidth: 100 })}`
}

function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value) : String(key)
}
