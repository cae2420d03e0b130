/** Options as they are typed, and as the API has them. Pure. */
import { FieldFault } from '../parts/field.js'

/**
 * Null where nothing is typed.
 * @param {string} text
 * @param {string} name of the field, for what is no number
 */
export function wholeNumber(text, name) {
  if (text.trim() === '') return null
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw new FieldFault(name, 'has to be a whole number')
  return value
}

/** @param {string} events @param {string} wait */
export function batchOf(events, wait) {
  if (events.trim() === '' && wait.trim() === '') return null
  const most = wholeNumber(events, 'batch')
  return {
    ...(most === null ? {} : { max_events: most }),
    ...(wait.trim() === '' ? {} : { max_wait: wait.trim() }),
  }
}

/** @param {Readonly<Record<string, string>>} headers */
export function headerLines(headers) {
  return Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}`)
    .join('\n')
}

/** @param {string} text */
export function headersOf(text) {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return Object.fromEntries(
    lines.map((line) => {
      const at = line.indexOf(':')
      if (at < 1) throw new FieldFault('headers', `“${line}” is not “name: value”`)
      return [line.slice(0, at).trim(), line.slice(at + 1).trim()]
    }),
  )
}
