/** Makes a subscription, or changes one: of what is there, only what was changed is sent. */
import { getTagged, send } from '../api.js'
import { h, replace } from '../dom.js'
import { form } from '../parts/field.js'
import { viewHead } from '../parts/layout.js'
import { errorState, skeleton } from '../parts/states.js'
import { told } from '../parts/toast.js'
import { go, link } from '../router.js'
import { isOperator } from '../session.js'
import { showNewSecret } from './secret-dialog.js'
import { knownEventTypes } from './known-event-types.js'
import { subscriptionFields } from './subscription-fields.js'

/** @import { Context, View } from '../router.js' */
/** @import { Answer } from '../api.js' */
/** @import { Subscription } from '../shapes.ts' */

/** @param {Context} context @returns {View} */
export function newSubscriptionView({ signal, me }) {
  const fields = subscriptionFields({ subscription: undefined, mayChooseTenant: isOperator(me) })
  const node = form({
    fields: fields.all,
    body: fields.node,
    verb: 'Create subscription',
    onCancel: () => go(link('/subscriptions')),
    submit: async () => {
      const made = /** @type {Subscription & { secret: string }} */ (
        await send('POST', '/v1/subscriptions', fields.changed())
      )
      go(link(`/subscriptions/${made.id}`))
      told('Created: events that are committed from now on go there')
      showNewSecret(made.secret, new AbortController().signal, () => undefined)
    },
  })
  knownEventTypes(signal, fields.types)
  return {
    title: 'New subscription',
    node: h(
      'div',
      { class: 'narrow' },
      viewHead({ title: 'New subscription', back: { href: link('/subscriptions'), text: 'Subscriptions' } }),
      node,
    ),
  }
}

/** @param {Context} context @returns {View} */
export function editSubscriptionView({ params, signal, me }) {
  const id = params['id'] ?? ''
  const path = `/v1/subscriptions/${encodeURIComponent(id)}`
  const back = link(`/subscriptions/${id}`)
  const place = h('div', {}, skeleton(10))
  const load = async () => {
    try {
      const { body: subscription, etag } = /** @type {Answer<Subscription>} */ (
        await getTagged(path, { signal })
      )
      const fields = subscriptionFields({ subscription, mayChooseTenant: isOperator(me) })
      knownEventTypes(signal, fields.types)
      replace(
        place,
        form({
          fields: fields.all,
          body: fields.node,
          verb: 'Save changes',
          onCancel: () => go(back),
          submit: async () => {
            const changes = fields.changed()
            if (Object.keys(changes).length > 0) await send('PATCH', path, changes, { ifMatch: etag })
            told(Object.keys(changes).length > 0 ? 'Saved' : 'Nothing was changed')
            go(back)
          },
        }),
      )
    } catch (error) {
      if (!signal.aborted) replace(place, errorState(error, load))
    }
  }
  void load()
  return {
    title: 'Edit subscription',
    node: h(
      'div',
      { class: 'narrow' },
      viewHead({ title: 'Edit subscription', back: { href: back, text: 'Subscription' } }),
      place,
    ),
  }
}
