/** Resends all that a filter finds: first counted, then, if that is what was meant, done. */
import { send } from '../api.js'
import { h, replace } from '../dom.js'
import { count, counted } from '../format.js'
import { button, openDialog } from '../parts/dialog.js'
import { errorState, skeleton } from '../parts/states.js'
import { failureText, told } from '../parts/toast.js'

/** @typedef {Readonly<Record<string, string>>} Filter */
/** @import { Resent } from '../shapes.ts' */

/**
 * @param {{ filter: Filter, signal: AbortSignal, onDone: () => void }} options
 */
export function resendFiltered({ filter, signal, onDone }) {
  const wanted = { ...filter, state: filter['state'] ?? 'dead' }
  openDialog({
    title: 'Resend what is filtered',
    signal,
    body: (dialog) => {
      const place = h('div', { 'aria-live': 'polite' }, skeleton(3))
      const look = async () => {
        try {
          const { matched } = await resend(wanted, true)
          replace(place, matched === 0 ? nothing(dialog.close) : offer(matched))
        } catch (error) {
          replace(place, errorState(error, look))
        }
      }
      /** @param {number} matched */
      const offer = (matched) => {
        const fault = h('div', { role: 'alert' })
        const act = button(
          `Resend ${counted(matched, 'delivery', 'deliveries')}`,
          'button primary',
          async () => {
            replace(fault)
            try {
              const done = await resend(wanted, false)
              dialog.close()
              told(`${counted(done.matched, 'delivery', 'deliveries')} will be attempted again`)
              onDone()
            } catch (error) {
              replace(fault, h('p', { class: 'fault' }, failureText(error)))
            }
          },
        )
        return [
          h(
            'p',
            {},
            h('strong', {}, count(matched)),
            matched === 1 ? ' delivery fits.' : ' deliveries fit.',
            ' Nothing was sent yet.',
          ),
          h(
            'p',
            {},
            'Each is attempted again with its schedule from the beginning, and the webhook-id that it always had.',
          ),
          fault,
          h('footer', { class: 'dialog-foot' }, button('Cancel', 'button', dialog.close), act),
        ]
      }
      void look()
      return [filterText(wanted), place]
    },
  })
}

/** @param {Filter} filter @param {boolean} dryRun @returns {Promise<Resent>} */
async function resend(filter, dryRun) {
  if (filter['state'] === 'pending') throw new Error('What is pending is on its way already.')
  return send('POST', '/v1/deliveries/resend', { ...filter, dry_run: dryRun })
}

/** @param {() => void} close */
function nothing(close) {
  return [
    h('p', {}, 'Nothing fits: there is nothing to resend.'),
    h('footer', { class: 'dialog-foot' }, button('Close', 'button', close)),
  ]
}

/** @param {Filter} filter */
function filterText(filter) {
  return h(
    'dl',
    { class: 'facts' },
    Object.entries(filter).map(([name, value]) =>
      h('div', {}, h('dt', {}, name.replaceAll('_', ' ')), h('dd', {}, value)),
    ),
  )
}
