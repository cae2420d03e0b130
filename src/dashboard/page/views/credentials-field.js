/** What a subscription shows of itself to its endpoint beside the signature. What is stored is never shown: it is left, or replaced. */
import { h } from '../dom.js'
import { select } from '../parts/field.js'

/** @import { FieldSet } from '../parts/field-set.js' */

/**
 * @param {FieldSet} set
 * @param {boolean} hasCredentials
 */
export function credentialsField(set, hasCredentials) {
  const kind = select(
    [
      ['', hasCredentials ? 'As they are' : 'None'],
      ['bearer', hasCredentials ? 'Another bearer token' : 'A bearer token'],
      ['basic', hasCredentials ? 'Another user and password' : 'A user and a password'],
      ...(hasCredentials ? [/** @type {const} */ (['none', 'None any more'])] : []),
    ],
    '',
  )
  const token = secretInput('password')
  const user = secretInput('text')
  const password = secretInput('password')
  const bearer = labelled('Token', token)
  const basic = [labelled('User', user), labelled('Password', password)]
  const show = () => {
    bearer.hidden = kind.value !== 'bearer'
    for (const node of basic) node.hidden = kind.value !== 'basic'
  }
  kind.addEventListener('change', show)
  show()
  const read = () => {
    switch (kind.value) {
      case 'bearer':
        return { type: 'bearer', token: token.value }
      case 'basic':
        return { type: 'basic', username: user.value, password: password.value }
      default:
        return kind.value === 'none' ? null : undefined
    }
  }
  return [
    set.add('auth', 'Credentials', kind, read, 'Sent as Authorization, and never shown again.'),
    bearer,
    ...basic,
  ]
}

/** @param {'text' | 'password'} type */
function secretInput(type) {
  return h('input', { type, autocomplete: 'new-password', spellcheck: 'false' })
}

/** @param {string} label @param {HTMLInputElement} control */
function labelled(label, control) {
  return h('div', { class: 'field' }, h('label', {}, h('span', {}, label), control))
}
