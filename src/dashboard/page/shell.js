/** What stands around every view: where one can go, whether it is live, who is signed in. */
import { h, replace } from './dom.js'
import { PAGES } from './keyboard.js'
import { openDialog } from './parts/dialog.js'
import { brandMark, icon } from './parts/icon.js'
import { announce, toastPlaces } from './parts/toast.js'
import { setSingleKeysAct, setTheme, singleKeysAct, theme } from './preferences.js'
import { link } from './router.js'
import { may } from './session.js'

/** @import { IconName } from './parts/icon.js' */
/** @import { LiveState } from './live.js' */
/** @import { Me } from './shapes.ts' */
/** @import { Theme } from './preferences.js' */

const NAV = /** @type {const} */ ([
  ['/', 'Overview', 'overview'],
  ['/subscriptions', 'Subscriptions', 'subscriptions'],
  ['/deliveries', 'Deliveries', 'deliveries'],
  ['/events', 'Events', 'events'],
  ['/event-types', 'Event types', 'types'],
])
const KEYS = /** @type {const} */ (['/keys', 'Keys', 'keys'])

const LIVE = /** @type {Readonly<Record<LiveState, readonly [string, string]>>} */ ({
  waiting: ['Connecting', 'Waiting for the server'],
  live: ['Live', 'Changes appear as they happen'],
  polling: ['Every 5 s', 'The live connection is down: asking every five seconds instead'],
})

/**
 * @param {{ me: Me, hasSession: boolean, onSignOut: () => void }} options
 */
export function shell({ me, hasSession, onSignOut }) {
  const outlet = h('main', { id: 'main', tabindex: '-1' })
  const items = may(me, 'admin') ? [...NAV, KEYS] : NAV
  const links = items.map(([path, text, sign]) =>
    h('a', { href: link(path), 'data-path': link(path) }, icon(/** @type {IconName} */ (sign)), text),
  )
  const live = h('p', { class: 'live' })
  const showLive = (/** @type {LiveState} */ state) => {
    const [text, title] = LIVE[state]
    live.dataset['state'] = state
    live.title = title
    replace(live, h('span', { class: 'live-dot', 'aria-hidden': 'true' }), text)
  }
  showLive('waiting')
  const menu = h(
    'button',
    {
      type: 'button',
      class: 'icon-button menu-button',
      'aria-expanded': 'false',
      'aria-controls': 'side',
      'aria-label': 'Menu',
    },
    icon('menu'),
  )
  const side = h(
    'div',
    { class: 'side', id: 'side' },
    h('nav', { 'aria-label': 'Pages' }, links),
    h(
      'div',
      { class: 'side-foot' },
      live,
      h(
        'p',
        { class: 'who' },
        me.tenant === null ? 'All tenants' : me.tenant,
        h('span', { class: 'faint' }, ` · ${me.scope}`),
      ),
      h(
        'div',
        { class: 'side-tools' },
        themeButton(),
        h(
          'button',
          {
            type: 'button',
            class: 'icon-button',
            'aria-label': 'Keyboard shortcuts',
            title: 'Keyboard shortcuts',
            onclick: showShortcuts,
          },
          icon('keyboard'),
        ),
        hasSession
          ? h(
              'button',
              {
                type: 'button',
                class: 'icon-button',
                'aria-label': 'Sign out',
                title: 'Sign out',
                onclick: onSignOut,
              },
              icon('out'),
            )
          : null,
      ),
    ),
  )
  const unfold = (/** @type {boolean} */ isOpen) => {
    menu.setAttribute('aria-expanded', String(isOpen))
    side.classList.toggle('open', isOpen)
  }
  menu.addEventListener('click', () => unfold(menu.getAttribute('aria-expanded') !== 'true'))
  const node = h(
    'div',
    { class: 'shell' },
    h('a', { class: 'skip', href: '#main' }, 'Skip to the content'),
    h(
      'header',
      { class: 'top' },
      h('a', { class: 'brand', href: link('/') }, brandMark(), 'Walhook'),
      menu,
      side,
    ),
    outlet,
    toastPlaces(),
  )
  return {
    node,
    outlet,
    showLive,
    /** @param {string} path @param {string} title */
    onShown(path, title) {
      unfold(false)
      for (const each of links) {
        const own = (each.dataset['path'] ?? '').replace(/\/$/, '')
        const isHere = path === own || (own !== link('/').replace(/\/$/, '') && path.startsWith(`${own}/`))
        if (isHere) each.setAttribute('aria-current', 'page')
        else each.removeAttribute('aria-current')
      }
      announce(title)
    },
  }
}

const THEMES = /** @type {Readonly<Record<Theme, readonly [Theme, IconName, string]>>} */ ({
  system: ['light', 'system', 'Theme: as the system. Change to light'],
  light: ['dark', 'sun', 'Theme: light. Change to dark'],
  dark: ['system', 'moon', 'Theme: dark. Change to as the system'],
})

function themeButton() {
  const button = h('button', { type: 'button', class: 'icon-button' })
  const draw = () => {
    const [, sign, text] = THEMES[theme()]
    button.setAttribute('aria-label', text)
    button.title = text
    replace(button, icon(sign))
  }
  button.addEventListener('click', () => {
    setTheme(THEMES[theme()][0])
    draw()
  })
  draw()
  return button
}

export function showShortcuts() {
  const rows = [
    ['/', 'Search or filter'],
    ['j, k', 'Next and previous row'],
    ['Enter', 'Open the row'],
    ['?', 'This list'],
    ...PAGES.map(([key, , name]) => [`g ${key}`, name]),
  ]
  openDialog({
    title: 'Keyboard shortcuts',
    body: () => [
      h(
        'dl',
        { class: 'facts shortcuts' },
        rows.map(([keys, what]) =>
          h(
            'div',
            {},
            h(
              'dt',
              {},
              (keys ?? '').split(' ').map((key) => h('kbd', {}, key)),
            ),
            h('dd', {}, what),
          ),
        ),
      ),
      h(
        'label',
        { class: 'field check' },
        h('input', {
          type: 'checkbox',
          checked: singleKeysAct(),
          onchange: (/** @type {{ target: HTMLInputElement }} */ { target }) =>
            setSingleKeysAct(target.checked),
        }),
        h('span', {}, 'Single keys act'),
      ),
    ],
  })
}
