/** Who is looking, and what they may. The server decides; the page only leaves out what it would refuse. */
import { Problem, get, send } from './api.js'

/** @import { Me, Scope } from './shapes.ts' */

const RANK = /** @type {Readonly<Record<Scope, number>>} */ ({ publish: 0, read: 1, operate: 2, admin: 3 })

/**
 * Undefined where nobody is signed in and somebody has to be.
 * @returns {Promise<Me | undefined>}
 */
export async function whoAmI() {
  try {
    return await get('/v1/me')
  } catch (error) {
    if (error instanceof Problem && error.status === 401) return undefined
    throw error
  }
}

/** @param {string} token */
export async function signIn(token) {
  await send('POST', '/ui/session', { token })
}

export async function signOut() {
  await send('DELETE', '/ui/session')
}

/**
 * @param {Me} me
 * @param {Scope} scope
 */
export function may(me, scope) {
  return RANK[me.scope] >= RANK[scope]
}

/** The slot and the replicas belong to the operator, and so do the catalog's changes. @param {Me} me */
export function isOperator(me) {
  return me.tenant === null
}
