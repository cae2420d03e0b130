/** Speaks to the HTTP API of the server that the page came from. Who is asking is in a cookie that scripts cannot read. */

/** @import { ProblemBody } from './shapes.ts' */
/** @typedef {Readonly<Record<string, string | number | boolean | null | undefined>>} Query */
/** @typedef {{ query?: Query, body?: unknown, signal?: AbortSignal | undefined, ifMatch?: string | null | undefined }} Asking */
/** @template T @typedef {{ body: T, etag: string | null }} Answer */

/** What the server says is wrong, in its words; status 0 where it said nothing at all. */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {ProblemBody} body
   */
  constructor(status, body) {
    super(body.detail ?? body.title ?? `The server answered ${status}.`)
    this.name = 'Problem'
    this.status = status
    this.title = body.title ?? 'That did not work'
    this.errors = body.errors ?? []
    this.requestId = body.request_id
  }
}

/** @type {(() => void) | undefined} */
let signedOut

/** Called whenever the server no longer knows who is asking. @param {() => void} listener */
export function onSignedOut(listener) {
  signedOut = listener
}

/**
 * @template T
 * @param {string} path
 * @param {Asking} [asking]
 * @returns {Promise<T>}
 */
export async function get(path, asking = {}) {
  return /** @type {Answer<T>} */ (await ask('GET', path, asking)).body
}

/**
 * With the tag to send back when it is changed.
 * @template T
 * @param {string} path
 * @param {Asking} [asking]
 * @returns {Promise<Answer<T>>}
 */
export function getTagged(path, asking = {}) {
  return ask('GET', path, asking)
}

/**
 * @template T
 * @param {'POST' | 'PATCH' | 'PUT' | 'DELETE'} method
 * @param {string} path
 * @param {unknown} [body]
 * @param {Asking} [asking]
 * @returns {Promise<T>}
 */
export async function send(method, path, body, asking = {}) {
  return /** @type {Answer<T>} */ (await ask(method, path, { ...asking, body })).body
}

/**
 * @template T
 * @param {string} method
 * @param {string} path
 * @param {Asking} asking
 * @returns {Promise<Answer<T>>}
 */
async function ask(method, path, { query = {}, body, signal, ifMatch }) {
  const url = new URL(path, location.origin)
  for (const [name, value] of Object.entries(query))
    if (value !== null && value !== undefined && value !== '') url.searchParams.set(name, String(value))
  /** @type {Record<string, string>} */
  const headers = { accept: 'application/json, application/problem+json' }
  // Without a key, a POST has to say that it is no form of another site.
  if (method !== 'GET') headers['content-type'] = 'application/json'
  if (ifMatch) headers['if-match'] = ifMatch
  /** @type {RequestInit} */
  const init = { method, headers, credentials: 'same-origin', cache: 'no-store' }
  if (body !== undefined) init.body = JSON.stringify(body)
  if (signal !== undefined) init.signal = signal
  const response = await fetch(url, init).catch((error) => {
    if (signal?.aborted) throw error
    throw new Problem(0, {
      title: 'Walhook cannot be reached',
      detail: 'The server did not answer. Is it running, and is the network up?',
    })
  })
  const text = await response.text()
  if (response.ok)
    return { body: /** @type {T} */ (parse(response, text)), etag: response.headers.get('etag') }
  const problem = new Problem(response.status, problemBody(response, text))
  if (response.status === 401) signedOut?.()
  throw problem
}

/**
 * @param {Response} response
 * @param {string} text
 */
function parse(response, text) {
  if (text === '') return undefined
  return (response.headers.get('content-type') ?? '').includes('json') ? readJson(text) : text
}

/**
 * @param {Response} response
 * @param {string} text
 * @returns {ProblemBody}
 */
function problemBody(response, text) {
  try {
    const body = JSON.parse(text)
    return typeof body === 'object' && body !== null ? body : {}
  } catch {
    return { title: `The server answered ${response.status}` }
  }
}

/** Of browsers that have it: numbers that a double cannot hold stay as they were written, for showing. */
const rawJson = /** @type {{ rawJSON?: (text: string) => unknown }} */ (/** @type {unknown} */ (JSON)).rawJSON

/** @param {string} text @returns {any} */
export function readJson(text) {
  if (rawJson === undefined) return JSON.parse(text)
  /** @type {(this: unknown, key: string, value: unknown, context?: { source?: string }) => unknown} */
  const keepDigits = (_key, value, context) =>
    typeof value === 'number' && context?.source !== undefined && String(value) !== context.source
      ? rawJson(context.source)
      : value
  return JSON.parse(text, keepDigits)
}
