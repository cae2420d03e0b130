/** The last attempts of an endpoint, oldest first: a tall bar for a success, a short one for a failure. */
import { h } from '../dom.js'
import { errorText, exact, statusText } from '../format.js'

/** @import { RecentAttempt } from '../shapes.ts' */

const LENGTH = 20

/** @param {number | null} status */
export function isSuccess(status) {
  return status !== null && status >= 200 && status < 300
}

/** @param {readonly RecentAttempt[]} newestFirst */
export function successStrip(newestFirst) {
  const attempts = newestFirst.slice(0, LENGTH).reverse()
  const good = attempts.filter(({ status }) => isSuccess(status)).length
  const label =
    attempts.length === 0 ? 'No attempts yet' : `${good} of the last ${attempts.length} attempts succeeded`
  return h(
    'span',
    { class: 'strip', role: 'img', 'aria-label': label },
    Array.from({ length: LENGTH - attempts.length }, () => h('span', { class: 'strip-none' })),
    attempts.map((attempt) =>
      h('span', {
        class: isSuccess(attempt.status) ? 'strip-good' : 'strip-bad',
        title: `${outcomeText(attempt.status, attempt.error)} · ${exact(attempt.at)}`,
      }),
    ),
  )
}

/**
 * @param {number | null} status
 * @param {string | null} error
 */
export function outcomeText(status, error) {
  const parts = [status === null ? null : statusText(status), error === null ? null : errorText(error)]
  return parts.filter((part) => part !== null).join(', ') || 'No outcome'
}
