/** How numbers, durations, sizes and times are written. Pure: the time is an argument. */

const COUNT = new Intl.NumberFormat('en')
const COMPACT = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })

/** `12,345`. @param {number} value */
export function count(value) {
  return COUNT.format(value)
}

/** The server stops counting a subscription's deliveries there. */
const COUNTED_UP_TO = 10_000

/** `10,000+` where the server stopped counting. @param {number} value */
export function atMost(value) {
  return value >= COUNTED_UP_TO ? `${COUNT.format(COUNTED_UP_TO)}+` : COUNT.format(value)
}

/** `12.3K` from ten thousand on. @param {number} value */
export function shortCount(value) {
  return value < 10_000 ? COUNT.format(value) : COMPACT.format(value)
}

/** `3 deliveries`. @param {number} value @param {string} one @param {string} [many] */
export function counted(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`
}

/** A share from 0 to 1. What is not quite nothing or all does not read as if it were. @param {number | null | undefined} share */
export function percent(share) {
  if (share === null || share === undefined || Number.isNaN(share)) return '–'
  if (share > 0 && share < 0.001) return '<0.1 %'
  if (share < 1 && share > 0.999) return '>99.9 %'
  const value = share * 100
  return `${value >= 10 || Number.isInteger(value) ? Math.floor(value) : value.toFixed(1)} %`
}

/** `840 ms`, `1.2 s`, `3 min`, `2 h 5 min`, `4 d`. @param {number | null | undefined} ms */
export function duration(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return '–'
  if (ms < 10 && !Number.isInteger(ms)) return `${ms.toFixed(1)} ms`
  if (ms < 1000) return `${Math.round(ms)} ms`
  const seconds = ms / 1000
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`
  if (seconds < 60) return `${Math.round(seconds)} s`
  return wholeUnits(Math.round(seconds))
}

/** @param {number} seconds */
function wholeUnits(seconds) {
  const minutes = Math.floor(seconds / 60)
  if (minutes < 10) return seconds % 60 === 0 ? `${minutes} min` : `${minutes} min ${seconds % 60} s`
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`
  const days = Math.floor(hours / 24)
  return days < 10 && hours % 24 !== 0 ? `${days} d ${hours % 24} h` : `${count(days)} d`
}

/** `1.5 MB`. @param {number | null | undefined} bytes */
export function size(bytes) {
  if (bytes === null || bytes === undefined) return '–'
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = bytes
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${value < 10 && unit > 0 ? Number(value.toFixed(1)) : Math.round(value)} ${units[unit]}`
}

/**
 * `4 min ago`, `in 30 s`, `now`.
 * @param {number} atMs
 * @param {number} nowMs
 */
export function relative(atMs, nowMs) {
  const ms = atMs - nowMs
  const away = Math.abs(ms)
  if (away < 2000) return 'now'
  const text = coarse(away / 1000)
  return ms > 0 ? `in ${text}` : `${text} ago`
}

/** @param {number} seconds */
function coarse(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`
  return `${count(Math.floor(seconds / 86_400))} d`
}

const LOCAL = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  year: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  timeZoneName: 'short',
})

/** To the second here, and as the server wrote it. @param {string} iso */
export function exact(iso) {
  const at = new Date(iso)
  return Number.isNaN(at.getTime()) ? iso : `${LOCAL.format(at)} · ${iso}`
}

/**
 * How a moment is named under a chart that shows `spanMs`.
 * @param {string} iso
 * @param {number} spanMs
 */
export function axisTime(iso, spanMs) {
  /** @type {Intl.DateTimeFormatOptions} */
  const options =
    spanMs > 2 * 86_400_000
      ? { weekday: 'short', day: 'numeric' }
      : { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }
  return new Intl.DateTimeFormat('en-GB', options).format(new Date(iso))
}

const HTTP_REASONS = /** @type {Readonly<Record<number, string>>} */ ({
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  204: 'No Content',
  301: 'Moved Permanently',
  302: 'Found',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  409: 'Conflict',
  410: 'Gone',
  413: 'Content Too Large',
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
})

/** `503 Service Unavailable`. @param {number} status */
export function statusText(status) {
  const reason = HTTP_REASONS[status]
  return reason === undefined ? String(status) : `${status} ${reason}`
}

/** The closed list of error classes, in words. */
export const ERROR_TEXTS = /** @type {Readonly<Record<string, string>>} */ ({
  dns: 'The name did not resolve',
  connect_refused: 'Connection refused',
  connect_timeout: 'No connection in time',
  connect_failed: 'No connection',
  tls: 'TLS handshake failed',
  proxy: 'The proxy made no tunnel',
  auth: 'No access token',
  timeout: 'No answer in time',
  reset: 'Connection closed before an answer',
  invalid_response: 'Not an HTTP answer',
  response_too_large: 'Answer too large, cut',
  response_incomplete: 'Answer broke off',
  address_denied: 'Address not allowed',
  invalid_url: 'URL cannot be called',
  aborted_by_endpoint: 'Endpoint declined it for good',
  aborted: 'Given up while stopping, not counted',
  event_missing: 'Event is gone',
  expired: 'Older than its time to live',
  expunged: 'Event was expunged',
})

/** An error class in words. @param {string} error */
export function errorText(error) {
  return ERROR_TEXTS[error] ?? error
}
