/** Our own sources as text, told apart into code, comments and literals: enough for rules about what may stand where. */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '../..')

export interface Token {
  readonly kind: 'code' | 'comment' | 'string' | 'template' | 'regex'
  readonly text: string
}

export interface SourceFile {
  /** From the project's root, with slashes. */
  readonly path: string
  readonly text: string
  readonly tokens: readonly Token[]
}

/** Files of a glob from the project's root, in order. */
export function sourceFiles(pattern: string): readonly SourceFile[] {
  return globSync(pattern, { cwd: ROOT })
    .map((path) => path.replaceAll('\\', '/'))
    .sort()
    .map((path) => {
      const text = readFileSync(join(ROOT, path), 'utf8')
      return { path, text, tokens: tokenize(text) }
    })
}

/** The text of the kinds that are asked for; what lies between them is a blank. */
export function textOf(file: SourceFile, ...kinds: readonly Token['kind'][]): string {
  return file.tokens.map((token) => (kinds.includes(token.kind) ? token.text : ' ')).join('')
}

const LITERALS = [
  ['comment', /\/\/[^\n]*|\/\*[\s\S]*?\*\/|^#![^\n]*/y],
  ['string', /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"/y],
  ['regex', /\/(?![/*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*/y],
] as const

/** A slash begins a regular expression where no value can stand before it. */
const BEFORE_REGEX = /(?:^|[(,=:[!&|?{};+]|=>|\breturn|\bcase)\s*$/

export function tokenize(text: string): readonly Token[] {
  const tokens: Token[] = []
  let code = ''
  let at = 0
  const push = (kind: Token['kind'], length: number): void => {
    if (code !== '') tokens.push({ kind: 'code', text: code })
    code = ''
    tokens.push({ kind, text: text.slice(at, at + length) })
    at += length
  }
  while (at < text.length) {
    if (text[at] === '`') {
      push('template', templateLength(text, at))
      continue
    }
    const literal = LITERALS.find(([kind, pattern]) => {
      pattern.lastIndex = at
      return pattern.test(text) && (kind !== 'regex' || BEFORE_REGEX.test(code))
    })
    if (literal === undefined) code += text[at++]
    else push(literal[0], literal[1].lastIndex - at)
  }
  if (code !== '') tokens.push({ kind: 'code', text: code })
  return tokens
}

/** With the templates and braces that are nested in it. */
function templateLength(text: string, start: number): number {
  let at = start + 1
  while (at < text.length && text[at] !== '`') {
    if (text[at] === '\\') at += 2
    else if (text.startsWith('${', at)) at = endOfExpression(text, at + 2)
    else at++
  }
  return at + 1 - start
}

function endOfExpression(text: string, start: number): number {
  let at = start
  for (let depth = 1; at < text.length && depth > 0; at++) {
    if (text[at] === '`') at += templateLength(text, at) - 1
    else if (text[at] === '{') depth++
    else if (text[at] === '}') depth--
  }
  return at
}
