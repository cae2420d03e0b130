/** Publishes one event by hand: as real as any, delivered to whoever subscribes to it. */
import { readJson, send } from '../api.js'
import { h } from '../dom.js'
import { openDialog } from '../parts/dialog.js'
import { field, FieldFault, form, textInput } from '../parts/field.js'
import { told } from '../parts/toast.js'
import { go, link } from '../router.js'
import { isOperator } from '../session.js'

/** @import { Me } from '../shapes.ts' */

/**
 * @param {{ me: Me, signal: AbortSignal, onDone: () => void }} options
 */
export function publishDialog({ me, signal, onDone }) {
  const type = textInput({ placeholder: 'order.created', autofocus: true })
  const key = textInput({ placeholder: 'order-1042' })
  const tenant = textInput({ placeholder: 'None' })
  const payload = h('textarea', {
    rows: 9,
    class: 'mono',
    spellcheck: 'false',
    value: '{\n  "test": true\n}',
  })
  const fields = [
    field({ label: 'Type', name: 'type', control: type }),
    field({ label: 'Key', name: 'key', hint: 'What it is about. May be empty.', control: key }),
    ...(isOperator(me)
      ? [field({ label: 'Tenant', name: 'tenant', hint: 'Whose it is. May be empty.', control: tenant })]
      : []),
    field({ label: 'Payload', name: 'payload', hint: 'JSON.', control: payload }),
  ]
  openDialog({
    title: 'Publish an event',
    signal,
    body: (dialog) => [
      h('p', { class: 'note' }, 'It is as real as any other: every subscription that it matches gets it.'),
      form({
        fields,
        body: fields.map(({ node }) => node),
        verb: 'Publish',
        onCancel: dialog.close,
        submit: async () => {
          const { id } = /** @type {{ id: string }} */ (
            await send('POST', '/v1/events', {
              type: type.value.trim(),
              payload: parsed(payload.value),
              ...(key.value === '' ? {} : { key: key.value }),
              ...(tenant.value === '' ? {} : { tenant: tenant.value }),
            })
          )
          dialog.close()
          told('Published')
          onDone()
          go(link(`/events/${id}`))
        },
      }),
    ],
  })
}

/** @param {string} text */
function parsed(text) {
  try {
    // Every digit stays.
    return readJson(text)
  } catch (error) {
    throw new FieldFault('payload', error instanceof Error ? error.message : 'This is not JSON.')
  }
}
