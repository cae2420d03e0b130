/** Makes a link that opens this page for one tenant, without a key. */
import { send } from '../api.js'
import { h, replace } from '../dom.js'
import { openDialog } from '../parts/dialog.js'
import { field, form, select, textInput } from '../parts/field.js'
import { shownOnce } from '../parts/shown-once.js'

/** @import { Me } from '../shapes.ts' */

const LIFETIMES = /** @type {const} */ ([
  ['1h', '1 hour'],
  ['1d', '1 day'],
  ['7d', '7 days'],
])

const LINK_SCOPES = /** @type {const} */ ([
  ['read', 'look'],
  ['operate', 'look and change'],
])

/** @param {Me} me @param {AbortSignal} signal */
export function portalLink(me, signal) {
  const tenant = textInput({ value: me.tenant ?? '', autofocus: true, readonly: me.tenant !== null })
  const lifetime = select(LIFETIMES, '1h')
  const scope = select(LINK_SCOPES, 'read')
  const fields = [
    field({
      label: 'Tenant',
      name: 'tenant',
      hint: 'The link shows what is this tenant’s, and nothing else.',
      control: tenant,
    }),
    field({ label: 'It may', name: 'scope', control: scope }),
    field({ label: 'Valid for', name: 'expires_in', control: lifetime }),
  ]
  openDialog({
    title: 'Portal link',
    signal,
    body: (dialog) => {
      const place = h('div', {})
      replace(
        place,
        h(
          'p',
          { class: 'note' },
          'Opens this page for one tenant, without a key: for your customer, from your own application.',
        ),
        form({
          fields,
          body: fields.map(({ node }) => node),
          verb: 'Make link',
          onCancel: dialog.close,
          submit: async () => {
            const { url } = /** @type {{ url: string }} */ (
              await send('POST', '/v1/portal-links', {
                tenant: tenant.value.trim(),
                expires_in: lifetime.value,
                scope: scope.value,
              })
            )
            replace(
              place,
              shownOnce('Link', url, 'Whoever has it is let in for as long as it is valid.', dialog.close),
            )
            place.querySelector('button')?.focus()
          },
        }),
      )
      return place
    },
  })
}
