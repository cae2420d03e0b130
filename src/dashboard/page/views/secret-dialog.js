/** A new signing secret, shown this once. */
import { send } from '../api.js'
import { h, replace } from '../dom.js'
import { openDialog } from '../parts/dialog.js'
import { field, form, select } from '../parts/field.js'
import { shownOnce } from '../parts/shown-once.js'

/** @import { Acting } from './subscription-actions.js' */

const OVERLAPS = /** @type {const} */ ([
  ['24h', '24 hours'],
  ['7d', '7 days'],
  ['1h', '1 hour'],
  ['0s', 'Not at all: the old one leaked'],
])

const ONCE = 'It is not shown again. Give it to whoever runs the endpoint, to verify the signatures with.'

/** @param {Pick<Acting, 'path' | 'signal' | 'refresh'>} acting */
export function rotateSecret({ path, signal, refresh }) {
  const overlap = select(OVERLAPS, '24h')
  const fields = [field({ label: 'The old secret signs too for', name: 'overlap', control: overlap })]
  openDialog({
    title: 'Rotate the secret',
    signal,
    body: (dialog) => {
      const place = h('div', {})
      replace(
        place,
        h(
          'p',
          {},
          'Requests are signed with both secrets for a while, so that the receiver can change without losing any.',
        ),
        form({
          fields,
          body: fields.map(({ node }) => node),
          verb: 'Rotate',
          onCancel: dialog.close,
          submit: async () => {
            const { secret } = /** @type {{ secret: string }} */ (
              await send('POST', `${path}/rotate-secret`, { overlap: overlap.value })
            )
            replace(place, shownOnce('Secret', secret, ONCE, dialog.close))
            place.querySelector('button')?.focus()
            refresh()
          },
        }),
      )
      return place
    },
  })
}

/**
 * @param {string} secret
 * @param {AbortSignal} signal
 * @param {() => void} onClosed
 */
export function showNewSecret(secret, signal, onClosed) {
  openDialog({
    title: 'The signing secret',
    signal,
    onClosed,
    body: (dialog) => shownOnce('Secret', secret, ONCE, dialog.close),
  })
}
