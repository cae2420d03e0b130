/** What can be done with one subscription: test, pause, resume, edit, rotate its secret, delete. */
import { send } from '../api.js'
import { h } from '../dom.js'
import { button, confirm, openDialog } from '../parts/dialog.js'
import { field, form, textInput } from '../parts/field.js'
import { icon } from '../parts/icon.js'
import { told, toldFailure } from '../parts/toast.js'
import { go, link } from '../router.js'
import { rotateSecret } from './secret-dialog.js'
import { testSubscription } from './test-dialog.js'

/** @import { Subscription } from '../shapes.ts' */
/**
 * @typedef {object} Acting
 * @property {Subscription} subscription
 * @property {string | null} etag
 * @property {string} path
 * @property {AbortSignal} signal
 * @property {() => void} refresh
 */

/** @param {Acting} acting */
export function subscriptionActions(acting) {
  const { subscription, path, signal } = acting
  const { id, state } = subscription
  return [
    state === 'active'
      ? button('Send test', 'button primary', () => testSubscription({ path, signal }))
      : button([icon('play'), 'Resume'], 'button primary', () => resume(acting)),
    state === 'active' ? button([icon('pause'), 'Pause'], 'button', () => pause(acting)) : null,
    h('a', { class: 'button', href: link(`/subscriptions/${id}/edit`) }, 'Edit'),
    button('Rotate secret', 'button', () => rotateSecret(acting)),
    button('Delete', 'button danger-quiet', () => remove(acting)),
  ]
}

/** @param {Acting} acting */
async function resume({ path, refresh }) {
  try {
    await send('POST', `${path}/resume`)
    told('Resumed: what waited is being delivered')
    refresh()
  } catch (error) {
    toldFailure(error)
  }
}

/** @param {Acting} acting */
function pause({ path, signal, refresh }) {
  const reason = textInput({ placeholder: 'Maintenance until noon', autofocus: true })
  const fields = [
    field({
      label: 'Reason',
      name: 'reason',
      hint: 'Shown to whoever wonders why. May be empty.',
      control: reason,
    }),
  ]
  openDialog({
    title: 'Pause',
    signal,
    body: (dialog) => [
      h('p', {}, 'Nothing is dropped: deliveries go on being recorded, and wait until it is resumed.'),
      form({
        fields,
        body: fields.map(({ node }) => node),
        verb: 'Pause',
        onCancel: dialog.close,
        submit: async () => {
          const text = reason.value.trim()
          await send('POST', `${path}/pause`, text === '' ? {} : { reason: text })
          dialog.close()
          told('Paused')
          refresh()
        },
      }),
    ],
  })
}

/** @param {Acting} acting */
function remove({ subscription, etag, path, signal }) {
  const { pending } = subscription.health
  confirm({
    title: 'Delete this subscription?',
    text: [
      h('p', {}, h('code', {}, subscription.url)),
      h(
        'p',
        {},
        pending === 0
          ? 'Nothing is owed to it. Past deliveries stay visible for as long as they are kept.'
          : `What it is still owed (${pending}) is cancelled. Past deliveries stay visible for as long as they are kept.`,
      ),
    ],
    verb: 'Delete',
    isDangerous: true,
    signal,
    run: async () => {
      await send('DELETE', path, undefined, { ifMatch: etag })
      told('Deleted')
      go(link('/subscriptions'))
    },
  })
}
