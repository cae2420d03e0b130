/** Asks for a key, once; the server keeps the session in a cookie that no script can read. */
import { h, replace } from '../dom.js'
import { field, form } from '../parts/field.js'
import { brandMark } from '../parts/icon.js'
import { signIn } from '../session.js'

/**
 * @param {{ onSignedIn: () => void, reason?: string | undefined }} options
 */
export function signInPage({ onSignedIn, reason }) {
  const token = h('input', {
    type: 'password',
    autocomplete: 'current-password',
    spellcheck: 'false',
    autofocus: true,
  })
  const fields = [
    field({
      label: 'Key',
      name: 'token',
      hint: 'An API key, or the administrator’s token of this server.',
      control: token,
    }),
  ]
  const heading = h('h1', {}, 'Sign in to Walhook')
  const note = h('div', {})
  if (reason !== undefined) replace(note, h('p', { class: 'note', role: 'status' }, reason))
  return h(
    'main',
    { class: 'sign-in', id: 'main', tabindex: '-1' },
    h(
      'div',
      { class: 'card' },
      brandMark(),
      heading,
      note,
      form({
        fields,
        body: fields.map(({ node }) => node),
        verb: 'Sign in',
        submit: async () => {
          await signIn(token.value.trim())
          onSignedIn()
        },
      }),
    ),
  )
}
