/** The HTTP API as a client calls it: with a key or without, and what came back, told apart into what tests look at. */
import { confide } from './leak-watch.ts'

export interface ApiAnswer {
  readonly status: number
  readonly headers: Headers
  /** Parsed where it is JSON, else the text. */
  // eslint-disable-next-line typescript/no-explicit-any -- a test says what it expects of it
  readonly body: any
}

export interface ApiCall {
  /** Sent as JSON. */
  readonly json?: unknown
  /** Sent as it is. */
  readonly text?: string | Uint8Array<ArrayBuffer>
  readonly headers?: Readonly<Record<string, string>>
  readonly key?: string
  /** Of a stream without end: what it says is not read. */
  readonly onlyHead?: boolean
}

export type Api = (method: string, path: string, call?: ApiCall) => Promise<ApiAnswer>

/** A client of the API at `url`, with `key` unless a call brings another. */
export function apiAt(url: string, key?: string): Api {
  if (key !== undefined) confide(key, 'a key of the API')
  return async (method, path, call = {}) => {
    const { json, text, headers = {}, key: ownKey = key } = call
    if (ownKey !== undefined) confide(ownKey, 'a key of the API')
    const body = text ?? (json === undefined ? undefined : JSON.stringify(json))
    const response = await fetch(new URL(path, url), {
      method,
      redirect: 'manual',
      headers: {
        // Without a key, a POST has to be JSON, with a body or without.
        ...((json !== undefined || method === 'POST') && { 'content-type': 'application/json' }),
        ...(ownKey !== undefined && { authorization: `Bearer ${ownKey}` }),
        ...headers,
      },
      ...(body !== undefined && { body }),
    })
    if (call.onlyHead && response.ok) {
      await response.body?.cancel()
      return { status: response.status, headers: response.headers, body: '' }
    }
    const said = await response.text()
    const isJson = /json/.test(response.headers.get('content-type') ?? '')
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(said) : said }
  }
}
