/** The keys of the API, and links that open this page for one tenant. */
import { send } from '../api.js'
import { h, replace } from '../dom.js'
import { badge, tag } from '../parts/badge.js'
import { button, confirm, openDialog } from '../parts/dialog.js'
import { field, form, select, textInput } from '../parts/field.js'
import { viewHead } from '../parts/layout.js'
import { liveList } from '../parts/list.js'
import { emptyState } from '../parts/states.js'
import { shownOnce } from '../parts/shown-once.js'
import { table } from '../parts/table.js'
import { time } from '../parts/time.js'
import { told } from '../parts/toast.js'
import { isOperator } from '../session.js'
import { portalLink } from './portal-link-dialog.js'

/** @import { Context, View } from '../router.js' */
/** @import { ApiKey, Me } from '../shapes.ts' */

const SCOPES = /** @type {const} */ ([
  ['publish', 'publish: write events, nothing else'],
  ['read', 'read: look'],
  ['operate', 'operate: look and change'],
  ['admin', 'admin: keys and links too'],
])

/** @param {Context} context @returns {View} */
export function keysView({ signal, me }) {
  const refresh = () => void list.refresh()
  const rows = table({
    caption: 'Keys, newest first',
    key: (/** @type {ApiKey} */ { id }) => id,
    columns: [
      {
        label: 'Name',
        isHeading: true,
        width: 'grow',
        cell: ({ name }) => name ?? h('span', { class: 'faint' }, 'unnamed'),
      },
      { label: 'Begins', cell: ({ prefix }) => h('code', {}, `${prefix}…`) },
      { label: 'Scope', cell: ({ scope }) => tag(scope) },
      {
        label: 'Tenant',
        cell: ({ tenant }) => (tenant === null ? h('span', { class: 'faint' }, 'all') : tag(tenant)),
      },
      { label: 'State', cell: keyState },
      { label: 'Last used', align: 'end', cell: ({ last_used_at: at }) => time(at, 'never') },
      { label: 'Created', align: 'end', cell: ({ created_at: at }) => time(at) },
      {
        label: 'Actions',
        isHiddenLabel: true,
        align: 'end',
        cell: (key) =>
          key.revoked_at === null
            ? button('Revoke', 'button small', () => revoke(key, signal, refresh))
            : null,
      },
    ],
  })
  const list = liveList({
    label: 'Keys',
    path: '/v1/keys',
    query: () => ({}),
    signal,
    rows,
    key: ({ id }) => id,
    empty: () =>
      emptyState(
        'No keys yet',
        'Without any, and without WALHOOK_ADMIN_TOKEN, the API answers on this machine alone, to everybody there. As soon as there is one, everyone needs one.',
        button('New key', 'button primary', () => newKey(me, signal, refresh)),
      ),
  })
  return {
    title: 'Keys',
    node: h(
      'div',
      {},
      viewHead({
        title: 'Keys',
        actions: [
          button('Portal link…', 'button', () => portalLink(me, signal)),
          button('New key', 'button primary', () => newKey(me, signal, refresh)),
        ],
      }),
      list.node,
    ),
  }
}

/** @param {ApiKey} key */
function keyState({ revoked_at: revoked, expires_at: expires }) {
  if (revoked !== null)
    return h(
      'span',
      {},
      badge('quiet', 'Revoked', 'blocked'),
      ' ',
      h('span', { class: 'reason faint' }, time(revoked)),
    )
  if (expires === null) return badge('good', 'Active', 'check')
  const isOver = Date.parse(expires) < Date.now()
  return h(
    'span',
    {},
    isOver ? badge('quiet', 'Expired', 'clock') : badge('good', 'Active', 'check'),
    h('span', { class: 'reason faint' }, isOver ? '' : 'expires ', time(expires)),
  )
}

/**
 * @param {Me} me
 * @param {AbortSignal} signal
 * @param {() => void} onDone
 */
function newKey(me, signal, onDone) {
  const name = textInput({ placeholder: 'shop', autofocus: true })
  const scope = select(SCOPES, 'read')
  const tenant = textInput({ placeholder: 'All tenants' })
  const fields = [
    field({ label: 'Name', name: 'name', hint: 'Whose it is, or what for.', control: name }),
    field({ label: 'Scope', name: 'scope', control: scope }),
    ...(isOperator(me)
      ? [
          field({
            label: 'Tenant',
            name: 'tenant',
            hint: "Narrows it to one tenant's events and subscriptions.",
            control: tenant,
          }),
        ]
      : []),
  ]
  openDialog({
    title: 'New key',
    signal,
    body: (dialog) => {
      const place = h('div', {})
      replace(
        place,
        form({
          fields,
          body: fields.map(({ node }) => node),
          verb: 'Make key',
          onCancel: dialog.close,
          submit: async () => {
            const made = /** @type {ApiKey & { key: string }} */ (
              await send('POST', '/v1/keys', {
                scope: scope.value,
                ...(name.value.trim() === '' ? {} : { name: name.value.trim() }),
                ...(tenant.value.trim() === '' ? {} : { tenant: tenant.value.trim() }),
              })
            )
            onDone()
            replace(
              place,
              shownOnce(
                'Key',
                made.key,
                'It is not shown again: the server keeps its hash alone.',
                dialog.close,
              ),
            )
            place.querySelector('button')?.focus()
          },
        }),
      )
      return place
    },
  })
}

/**
 * @param {ApiKey} key
 * @param {AbortSignal} signal
 * @param {() => void} onDone
 */
function revoke({ id, name, prefix }, signal, onDone) {
  confirm({
    title: `Revoke ${name ?? prefix}?`,
    text: 'From the next request on it is refused, and so are sessions and portal links that were opened with it. This cannot be undone.',
    verb: 'Revoke',
    isDangerous: true,
    signal,
    run: async () => {
      await send('DELETE', `/v1/keys/${id}`)
      told('Revoked')
      onDone()
    },
  })
}
