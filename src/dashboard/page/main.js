/** Begins: who is looking, then the shell, then the view that the address names. */
import { onSignedOut } from './api.js'
import { h, replace } from './dom.js'
import { listenForKeys } from './keyboard.js'
import { Live, useLive } from './live.js'
import { errorState, skeleton } from './parts/states.js'
import { keepTimesRight } from './parts/time.js'
import { toldFailure } from './parts/toast.js'
import { applyTheme } from './preferences.js'
import { Router } from './router.js'
import { may, signOut, whoAmI } from './session.js'
import { shell, showShortcuts } from './shell.js'
import { deliveriesView } from './views/deliveries.js'
import { deliveryView } from './views/delivery.js'
import { eventTypesView } from './views/event-types.js'
import { eventView } from './views/event.js'
import { eventsView } from './views/events.js'
import { keysView } from './views/keys.js'
import { overviewView } from './views/overview.js'
import { signInPage } from './views/sign-in.js'
import { editSubscriptionView, newSubscriptionView } from './views/subscription-form.js'
import { subscriptionView } from './views/subscription.js'
import { subscriptionsView } from './views/subscriptions.js'

/** @import { Me } from './shapes.ts' */

/** The first that fits. */
const ROUTES = [
  { path: '/', view: overviewView },
  { path: '/subscriptions', view: subscriptionsView },
  { path: '/subscriptions/new', view: newSubscriptionView },
  { path: '/subscriptions/:id', view: subscriptionView },
  { path: '/subscriptions/:id/edit', view: editSubscriptionView },
  { path: '/deliveries', view: deliveriesView },
  { path: '/deliveries/:id', view: deliveryView },
  { path: '/events', view: eventsView },
  { path: '/events/:id', view: eventView },
  { path: '/event-types', view: eventTypesView },
  { path: '/keys', view: keysView },
]

/** @type {AbortController | undefined} */
let running

/** @param {string} [reason] why a key is asked for again */
async function begin(reason) {
  running?.abort()
  running = undefined
  try {
    const me = await whoAmI()
    if (me === undefined) askForKey(reason ?? linkFault())
    else if (may(me, 'read')) open(me)
    else askForKey('This key may publish events, and see nothing. Sign in with another.')
  } catch (error) {
    replace(
      document.body,
      h(
        'main',
        { class: 'sign-in' },
        h(
          'div',
          { class: 'card' },
          h('h1', {}, 'Walhook'),
          errorState(error, () => begin()),
        ),
      ),
    )
  }
}

/** A portal link that opens nothing any more leads here. */
function linkFault() {
  return new URLSearchParams(location.search).get('link') === 'expired'
    ? 'That link opens nothing any more. Ask whoever gave it to you for another.'
    : undefined
}

/** @param {string} [reason] */
function askForKey(reason) {
  document.title = 'Sign in · Walhook'
  replace(document.body, signInPage({ reason, onSignedIn: () => void begin() }))
  document.querySelector('input')?.focus()
}

/** @param {Me} me */
function open(me) {
  const leave = new AbortController()
  const { signal } = leave
  running = leave
  const frame = shell({
    me,
    hasSession: me.by === 'session',
    onSignOut: () => void signOut().then(() => begin('Signed out.'), toldFailure),
  })
  replace(document.body, frame.node)
  useLive(new Live({ onState: frame.showLive, signal }))
  keepTimesRight(signal)
  listenForKeys(showShortcuts, signal)
  onSignedOut(() => {
    if (!signal.aborted) void begin('The session is over. Sign in again to go on.')
  })
  new Router({
    routes: ROUTES,
    outlet: frame.outlet,
    me,
    onShown: (path, title) => frame.onShown(path, title),
    signal,
  }).start()
}

applyTheme()
replace(document.body, skeleton(4))
void begin()
